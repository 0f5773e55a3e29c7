/* guarded.h — work that leaves nothing behind when its process is killed.
 *
 * It is done by a child. A signal that is to end this process goes to the child, which ends what it
 * has begun and tidies up; so does the child when this process is gone.
 */
#ifndef SHOAL_CLI_GUARDED_H
#define SHOAL_CLI_GUARDED_H

#include "common/error.h"

#include <stdbool.h>

/* Goes on as a child, where it returns 0 with SIGINT, SIGTERM and SIGHUP blocked (those that aren't
 * ignored), and SIGTERM when its parent ends. In the parent it returns the child's exit code when
 * the child has ended, *IS_PARENT set; or -1 with ERR. */
int guarded_begin (bool *is_parent, struct error *err);

#endif
