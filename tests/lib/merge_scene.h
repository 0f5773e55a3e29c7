/* merge_scene.h — a job with made-up attempts, for tests of the merger: no producer and no worker,
 * only their events and folders. */
#ifndef SHOAL_TESTS_LIB_MERGE_SCENE_H
#define SHOAL_TESTS_LIB_MERGE_SCENE_H

#include "bus/bus.h"
#include "common/buffer.h"
#include "tests/lib/file_tree.h"

struct merge_scene
{
  struct file_tree *tree; /* out or out.partial in it is the result */
  char *place;
  char *url;
  struct job job; /* sharded, one output "o" */
};

void merge_scene_set_up (struct merge_scene *scene);
void merge_scene_tear_down (struct merge_scene *scene);

struct bus *merge_scene_bus (const struct merge_scene *scene);

/* Submits the job with the webhook URL, as one that succeeded AGO_MS ago and whose webhook waits.
 * Its status is on the bus; the caller closes that. */
struct bus *merge_scene_webhook (struct merge_scene *scene, const char *url, int64_t ago_ms);

/* What the status on BUS says of the webhook. The caller frees. */
char *merge_scene_webhook_said (const struct merge_scene *scene, struct bus *bus);

/* Submits the job as it is then. */
void merge_scene_submit (const struct merge_scene *scene);

/* Something in an attempt's output "o": CONTENT NULL: an empty folder; starting with "->": a
 * link. */
struct made_file
{
  const char *path;
  const char *content;
};

/* Makes the attempt's folder; FILES end with a NULL path. stdout is "out INDEX\n", stderr "err
 * INDEX\n". */
void merge_scene_attempt (const struct merge_scene *scene, uint32_t index, uint32_t generation,
                          uint32_t attempt, enum outcome outcome, const struct made_file *files);

/* Its FINISHED event, on BUS. */
void merge_scene_finished (struct bus *bus, const struct merge_scene *scene, enum shard_kind kind,
                           uint32_t index, uint32_t generation, uint32_t attempt,
                           enum outcome outcome);
void merge_scene_planned (struct bus *bus, const struct merge_scene *scene, int64_t shards);

/* Both for the first attempt at a shard of GENERATION, which ended with OUTCOME. */
void merge_scene_ended (struct bus *bus, const struct merge_scene *scene, uint32_t index,
                        uint32_t generation, enum outcome outcome, const struct made_file *files);

/* The whole way of a shard that succeeds at once with one file NAME. */
void merge_scene_succeed (struct bus *bus, const struct merge_scene *scene, uint32_t index,
                          const struct made_file *files);

/* The job's final state and reason (the caller frees). */
enum job_state merge_scene_state (const struct merge_scene *scene, char **reason);

/* Everything that is seen of the result, but what is in .shoal and the report: one line a file with
 * its content, by name. */
void merge_scene_picture (const struct merge_scene *scene, struct buffer *text);

#endif
