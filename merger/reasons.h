/* reasons.h — why shards failed, each text once: of 100,000 shards that failed most did so for the
 * same reason.
 *
 * Bounded, whatever messages say: behind some MiB of different texts further ones aren't kept. A
 * handle belongs to one thread.
 */
#ifndef SHOAL_MERGER_REASONS_H
#define SHOAL_MERGER_REASONS_H

#include <stdint.h>

struct reasons;

struct reasons *reasons_new (void);
void reasons_free (struct reasons *reasons); /* NULL: nothing */

/* The number of TEXT, from 1; 0 for NULL, "", and where there is no room for it. */
uint32_t reasons_add (struct reasons *reasons, const char *text);

/* The text of NUMBER, valid until REASONS is freed; NULL for 0. */
const char *reasons_text (const struct reasons *reasons, uint32_t number);

#endif
