#include "worker/listing.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum
{
  WRITE_CHUNK = 64 << 10,
};

struct atom_listing
{
  int fd;
  int64_t shard;
  char *name;
  struct digest *digest;
  struct buffer lines;
};

struct atom_listing *
listing_open (int folder_fd, const char *name, int64_t shard, struct error *err)
{
  int fd = openat (folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    {
      (void) error_errno (err, errno, "%s", name);
      return NULL;
    }
  struct atom_listing *listing = xcalloc (1, sizeof *listing);
  *listing = (struct atom_listing){
    .fd = fd, .shard = shard, .name = xstrdup (name), .digest = digest_new ()
  };
  return listing;
}

void
listing_close (struct atom_listing *listing)
{
  if (listing == NULL)
    return;
  auto_fd_ (&listing->fd);
  digest_free (listing->digest);
  buffer_release (&listing->lines);
  free (listing->name);
  free (listing);
}

static json_t *
start_line (const char *output, const char *path)
{
  json_t *object = json_object ();
  text_set_bytes (object, "output", output);
  size_t size = strlen (path);
  auto_free char *plain = xstrndup (path, size > 0 && path[size - 1] == '/' ? size - 1 : size);
  text_set_bytes (object, "path", plain);
  return object;
}

static int
atoms_listing_flush (struct atom_listing *listing, struct error *err)
{
  int result =
      fs_write_all (listing->fd, listing->lines.data, listing->lines.size, listing->name, err);
  buffer_clear (&listing->lines);
  return result;
}

/* Ends the line and takes OBJECT. STATUS of a file: the merger cuts its time off again, so it is
 * the last member. */
static int
end_line (struct atom_listing *listing, json_t *object, const struct stat *status,
          struct error *err)
{
  if (listing->shard >= 0)
    (void) json_object_set_new (object, "shard", json_integer (listing->shard));
  if (status != NULL)
    (void) json_object_set_new (object, "mtime_ns", json_integer (fs_mtime_ns (status)));
  auto_free char *line = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  buffer_puts (&listing->lines, line);
  buffer_putc (&listing->lines, '\n');
  return listing->lines.size < WRITE_CHUNK ? 0 : atoms_listing_flush (listing, err);
}

int64_t
listing_file (struct atom_listing *listing, const char *output, const char *path, int fd,
              const struct stat *status, const struct halt *halt, struct error *err)
{
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  int64_t size = digest_file (listing->digest, fd, status, halt, sum, err);
  if (size < 0)
    return -1;
  json_t *object = start_line (output, path);
  (void) json_object_set_new (object, "size", json_integer (size));
  (void) json_object_set_new (object, "sha256", json_string (digest_format (sum, text)));
  return end_line (listing, object, status, err) == 0 ? size : -1;
}

int
listing_link (struct atom_listing *listing, const char *output, const char *path,
              const char *target, struct error *err)
{
  json_t *object = start_line (output, path);
  text_set_bytes (object, "link", target);
  return end_line (listing, object, NULL, err);
}

int
listing_folder (struct atom_listing *listing, const char *output, const char *path,
                struct error *err)
{
  json_t *object = start_line (output, path);
  (void) json_object_set_new (object, "folder", json_true ());
  return end_line (listing, object, NULL, err);
}

int
listing_finish (struct atom_listing *listing, struct error *err)
{
  return atoms_listing_flush (listing, err);
}
