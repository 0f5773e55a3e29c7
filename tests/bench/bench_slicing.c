/* bench_slicing ATOMS BATCH_SIZE: slices ATOMS files of a storage that invents them, 1,000 a
 * folder. Only its time and memory are of interest. */
#include "common/memory.h"
#include "producer/slicer_internal.h"
#include "storage/listing.h"
#include "storage/storage_ops.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum
{
  FOLDER_SIZE = 1000
};

struct invented
{
  struct storage storage;
  long atoms;
};

static int
list_invented (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  const struct invented *invented = (const struct invented *) storage;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  for (long i = 0; i < invented->atoms; i++)
    {
      char path[64];
      int size;
      if (i % FOLDER_SIZE == 0)
        {
          size = snprintf (path, sizeof path, "folder%06ld", i / FOLDER_SIZE);
          const struct storage_entry folder = {
            .path = path, .path_size = (size_t) size, .folder = true, .size = -1
          };
          int result = visitor->entry (visitor->context, &folder, err);
          if (result != 0)
            return result;
          if (!visitor->enter (visitor->context, path, (size_t) size))
            {
              i += FOLDER_SIZE - 1;
              continue;
            }
        }
      size = snprintf (path, sizeof path, "folder%06ld/image%04ld.jpg", i / FOLDER_SIZE,
                       i % FOLDER_SIZE);
      const struct storage_entry file = { .path = path, .path_size = (size_t) size, .size = -1 };
      int result = visitor->entry (visitor->context, &file, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static void
close_invented (struct storage *storage)
{
  free (storage);
}

static struct storage *
open_invented (void *context, const struct job *job, size_t index, struct error *err)
{
  (void) job;
  (void) index;
  (void) err;
  static const struct storage_ops ops = { .list = list_invented, .close = close_invented };
  struct invented *invented = xcalloc (1, sizeof *invented);
  invented->storage.ops = &ops;
  invented->atoms = *(const long *) context;
  return &invented->storage;
}

static int
count_atoms (void *context, const struct shard *shard, struct error *err)
{
  (void) err;
  *(int64_t *) context += shard->atom_count;
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc != 3)
    {
      fprintf (stderr, "usage: bench_slicing ATOMS BATCH_SIZE\n");
      return 2;
    }
  long atoms = atol (argv[1]);
  auto_job struct job job;
  job_init (&job);
  job.glob = xstrdup ("**/*.jpg");
  job.batch_size = atol (argv[2]);
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volume_count = 1;
  job.volumes[0] = (struct volume){ .source = xstrdup ("/"), .path = xstrdup ("/in") };

  struct error err = ERROR_INIT;
  int64_t counted = 0;
  struct plan plan = { 0 };
  auto_fd int plan_fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  const struct slicer_sources sources = { .context = &atoms, .open = open_invented };
  const struct slicer_sink sink = { .context = &counted, .shard = count_atoms, .plan_fd = plan_fd };
  if (slicer_check (&job, NULL, &err) != 0
      || slicer_run_on (&job, &sources, &sink, &plan, &err) != 0)
    {
      fprintf (stderr, "bench_slicing: %s\n", err.message);
      return 1;
    }
  if (counted != atoms)
    {
      fprintf (stderr, "bench_slicing: %" PRId64 " of %ld atoms\n", counted, atoms);
      return 1;
    }
  return 0;
}
