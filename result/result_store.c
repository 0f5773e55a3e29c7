#include "result/result_store.h"

#include "common/closed.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/unique.h"
#include "result/result.h"
#include "result/stored_names.h"
#include "result/upload_note.h"
#include "schemas/codec.h"
#include "storage/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  JOB_ID_MAX = 4096,
  ATTEMPT_JSON_MAX = 1 << 20,
};

#define JOB_KEY ".shoal/job"
#define ATTEMPTS_KEY ".shoal/attempts"
#define MERGER "merger."
#define MANIFEST "manifest.json"
#define MANIFEST_PARTIAL "manifest.partial.json"

struct result_store
{
  char *location;
  char *credentials; /* NULL: our own */
  struct storage *storage;
  const struct halt *halt; /* NULL: none */
};

bool
result_is_remote (const char *location)
{
  return strstr (location, "://") != NULL;
}

char *
result_store_place (const char *url, struct error *err)
{
  size_t length = strlen (url);
  while (length > 0 && url[length - 1] == '/')
    length--;
  auto_free char *location = xstrndup (url, length);
  auto_storage struct storage *storage = storage_open (location, err);
  if (storage == NULL)
    return NULL;
  if (storage_is_writable (storage))
    return take (&location);
  (void) error_set (err, ERROR_USER, "%s: expected a folder or s3://BUCKET/PREFIX for the result",
                    url);
  return NULL;
}

/* The same URL is another place at another server. */
static void
add_server (struct digest *digest)
{
  static const char *const names[] = { "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_PROFILE" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    {
      const char *value = getenv (names[i]);
      if (value == NULL || value[0] == '\0')
        continue;
      digest_add (digest, names[i], strlen (names[i]) + 1);
      digest_add (digest, value, strlen (value) + 1);
    }
}

char *
result_store_mirror (const char *location, struct error *err)
{
  const char *own = getenv ("SHOAL_STATE_DIR");
  const char *state = getenv ("XDG_STATE_HOME");
  const char *home = getenv ("HOME");
  auto_free char *base = own != NULL && own[0] != '\0'       ? xstrdup (own)
                         : state != NULL && state[0] != '\0' ? xasprintf ("%s/shoal", state)
                         : home != NULL && home[0] != '\0'
                             ? xasprintf ("%s/.local/state/shoal", home)
                             : NULL;
  if (base == NULL)
    {
      (void) error_set (
          err, ERROR_USER,
          "%s: HOME is not set: set SHOAL_STATE_DIR to a local folder for the job's state",
          location);
      return NULL;
    }
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, location, strlen (location));
  add_server (digest);
  digest_finish (digest, sum);
  auto_free char *above = xasprintf ("%s/results", base);
  if (closed_make (above, err) != 0)
    return NULL;
  auto_free char *absolute = realpath (above, NULL);
  auto_free char *mirror =
      xasprintf ("%s/%.32s", absolute == NULL ? above : absolute, digest_format (sum, text));
  closed_tighten (mirror, NULL);
  return take (&mirror);
}

struct result_store *
result_store_open (const char *location, const char *credentials, struct error *err)
{
  struct storage *storage = storage_open_as (location, credentials, err);
  struct result_store *store = storage == NULL ? NULL : xcalloc (1, sizeof *store);
  if (store != NULL)
    *store = (struct result_store){ .location = xstrdup (location),
                                    .credentials = xstrdup (credentials),
                                    .storage = storage };
  return store;
}

void
result_store_close (struct result_store *store)
{
  if (store == NULL)
    return;
  storage_close (store->storage);
  free (store->location);
  free (store->credentials);
  free (store);
}

void
result_store_set_halt (struct result_store *store, const struct halt *halt)
{
  store->halt = halt;
  storage_set_halt (store->storage, halt);
}

/* The storage of URL, a folder of the store's. */
static struct storage *
open_folder (const struct result_store *store, const char *url, struct error *err)
{
  struct storage *storage = storage_open_as (url, store->credentials, err);
  if (storage != NULL)
    storage_set_halt (storage, store->halt);
  return storage;
}

struct storage *
result_store_storage (struct result_store *store)
{
  return store->storage;
}

/* Whether the place is JOB_ID's: 1, 0 when it is nobody's (TAKEN: that is an error, too), or -1
 * (another job's: ERROR_USER). */
static int
result_store_is_of (struct result_store *store, const char *job_id, bool taken, struct error *err)
{
  auto_buffer struct buffer owner = { 0 };
  int found = storage_get (store->storage, JOB_KEY, 0, -1, JOB_ID_MAX, &owner, err);
  if (found < 0 || (found == 0 && !taken))
    return found;
  if (owner.size == strlen (job_id) && memcmp (owner.data, job_id, owner.size) == 0)
    return 1;
  return error_set (err, ERROR_USER, "%s holds the result of another job, %.*s", store->location,
                    (int) owner.size, owner.size == 0 ? "" : owner.data);
}

int
result_store_claim (struct result_store *store, const char *job_id, struct error *err)
{
  /* Looked at first: there are servers that heed no condition, and put the new one over the old. */
  const struct bytes id = { job_id, strlen (job_id) };
  int found = result_store_is_of (store, job_id, false, err);
  if (found == 0 && (found = storage_put (store->storage, JOB_KEY, id, true, err)) > 0)
    found = result_store_is_of (store, job_id, true, err);
  return found < 0 ? -1 : 0;
}

/* Whether KEY is there: 1, 0 or -1. */
static int
has (struct result_store *store, const char *key, struct error *err)
{
  auto_buffer struct buffer first = { 0 };
  return storage_get (store->storage, key, 0, 1, 16, &first, err);
}

int
result_store_is_claimed (struct result_store *store, struct error *err)
{
  return has (store, JOB_KEY, err);
}

/* ---- plans ------------------------------------------------------------------------------ */

static char *
plan_key (int64_t offset)
{
  return xasprintf (".shoal/plan/%lld", (long long) offset);
}

int
result_store_put_plan (struct result_store *store, int64_t offset, struct bytes list,
                       struct error *err)
{
  auto_free char *key = plan_key (offset);
  return storage_put (store->storage, key, list, false, err);
}

int
result_store_get_plan (struct result_store *store, int64_t offset, int64_t length,
                       struct buffer *list, struct error *err)
{
  auto_free char *key = plan_key (offset);
  int found = storage_get (store->storage, key, 0, -1, (size_t) length, list, err);
  if (found < 0)
    return -1;
  if (found == 1 && (int64_t) list->size == length)
    return 0;
  return error_set (err, ERROR_TRANSIENT, "%s/%s is not the plan's list of %lld bytes",
                    store->location, key, (long long) length);
}

/* ---- lists of files: from a listing, which pushes, to a batch, which pulls ---------------- */

/* Files as atoms, back to back; what they are called on the other side is their source. */
struct listed
{
  struct buffer atoms;
  const char *local;  /* before a path here, "" */
  const char *remote; /* before a path there */
  bool outgoing;
  const char *pruned; /* the folder that isn't entered, or NULL */
  const char *left;   /* the file that isn't taken, or NULL */
  bool whole;         /* attempt.json was listed */
  struct atom_cursor cursor;
  bool (*stopped) (void *context);
  void *context;
};

static bool
result_store_on_enter (void *context, const char *path, size_t size)
{
  const struct listed *listed = context;
  (void) size;
  return listed->pruned == NULL || strcmp (path, listed->pruned) != 0;
}

static int
result_store_on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct listed *listed = context;
  (void) err;
  if (!entry->folder && strcmp (entry->path, "attempt.json") == 0)
    listed->whole = true;
  if (entry->folder || (listed->left != NULL && strcmp (entry->path, listed->left) == 0))
    return 0;
  auto_free char *here = xasprintf ("%s%s", listed->local, entry->path);
  auto_free char *there = xasprintf ("%s%s", listed->remote, entry->path);
  const char *path = listed->outgoing ? there : here;
  const struct atom atom = { .size = entry->size,
                             .path = path,
                             .path_size = strlen (path),
                             .source = listed->outgoing ? here : there,
                             .version = entry->version };
  atom_append (&listed->atoms, &atom);
  return 0;
}

static int
result_store_next_item (void *context, struct storage_item *item, struct error *err)
{
  struct listed *listed = context;
  struct atom atom = { 0 };
  int got = atom_cursor_next (&listed->cursor, &atom, err);
  if (got > 0)
    *item = (struct storage_item){
      .path = atom.path, .source = atom.source, .version = atom.version, .size = atom.size
    };
  return got;
}

static bool
on_stopped (void *context)
{
  const struct listed *listed = context;
  return listed->stopped != NULL && listed->stopped (listed->context);
}

static int
list_into (struct listed *listed, struct storage *storage, struct error *err)
{
  const struct storage_visitor visitor = { .context = listed,
                                           .want_sizes = listed->outgoing,
                                           .symlinks = SYMLINKS_SKIP,
                                           .enter = result_store_on_enter,
                                           .entry = result_store_on_entry };
  return storage_list (storage, &visitor, err);
}

/* Fetches or sends all that is LISTED, beneath FOLDER_FD. */
static int
result_store_transfer (struct result_store *store, struct listed *listed, int folder_fd,
                       struct error *err)
{
  listed->cursor = atom_cursor_start (buffer_bytes (&listed->atoms));
  const struct storage_batch batch = {
    .context = listed, .next = result_store_next_item, .stopped = on_stopped, .folder_fd = folder_fd
  };
  int result = listed->outgoing ? storage_send (store->storage, &batch, err)
                                : storage_fetch (store->storage, &batch, err);
  atom_cursor_release (&listed->cursor);
  return result;
}

/* Sends all that is LISTED, with a note as NAME meanwhile. An upload whose beginning was asked for
 * twice, as the answer was lost, is two: the second one is ended as well. */
static int
send_noted (struct result_store *store, struct listed *listed, int folder_fd, const char *name,
            struct error *err)
{
  int noted = upload_note_put (store->storage, name, buffer_bytes (&listed->atoms), err);
  if (noted < 0 || result_store_transfer (store, listed, folder_fd, err) != 0)
    return -1;
  struct error left = ERROR_INIT;
  if (noted > 0 && upload_note_end (store->storage, name, &left) != 0)
    {
      auto_free char *location = text_log (store->location); /* what was sent is there */
      log_failure (LOG_WARN, "upload_cleanup_failed", &left, "results=%s note=%s", location, name);
    }
  return 0;
}

/* ---- attempts --------------------------------------------------------------------------- */

static int
send_attempt (struct result_store *store, struct listed *listed, int folder_fd, const char *folder,
              const char *name, struct error *err)
{
  auto_buffer struct buffer last = { 0 };
  auto_storage struct storage *here = storage_open (folder, err);
  if (here == NULL || list_into (listed, here, err) != 0
      || send_noted (store, listed, folder_fd, name, err) != 0
      || fs_read_file (folder_fd, "attempt.json", ATTEMPT_JSON_MAX, &last, err) != 0)
    return -1;
  auto_free char *key = xasprintf ("%sattempt.json", listed->remote);
  return storage_put (store->storage, key, buffer_bytes (&last), false, err) < 0 ? -1 : 0;
}

int
result_store_send (struct result_store *store, int folder_fd, const char *folder, const char *name,
                   bool (*stopped) (void *context), void *context, struct error *err)
{
  auto_free char *remote = xasprintf (ATTEMPTS_KEY "/%s/", name);
  struct listed listed = { .local = "",
                           .remote = remote,
                           .outgoing = true,
                           .left = "attempt.json",
                           .stopped = stopped,
                           .context = context };
  int result = send_attempt (store, &listed, folder_fd, folder, name, err);
  buffer_release (&listed.atoms);
  if (result == 0)
    return 0;
  (void) result_store_forget (store, name, NULL);
  return error_wrap (err, "sending the outputs");
}

int
result_store_receive (struct result_store *store, int result_fd, const char *name,
                      struct error *err)
{
  auto_free char *whole = xasprintf (RESULT_ATTEMPTS "/%s/attempt.json", name);
  if (fs_exists (result_fd, whole))
    return 0;
  auto_free char *url = xasprintf ("%s/" ATTEMPTS_KEY "/%s", store->location, name);
  auto_free char *key = xasprintf (ATTEMPTS_KEY "/%s/", name);
  char unique[UNIQUE_SIZE];
  auto_free char *folder = xasprintf (RESULT_TMP "/%s.%s", name, unique_text (unique));
  auto_free char *local = xasprintf ("%s/", folder);
  auto_free char *to = xasprintf (RESULT_ATTEMPTS "/%s", name);
  auto_storage struct storage *there = open_folder (store, url, err);
  struct listed listed = { .local = local, .remote = key, .pruned = "outputs" };
  if (there == NULL)
    return -1;
  int result = list_into (&listed, there, err);
  if (result == 0 && !listed.whole)
    result = error_set (err, ERROR_TRANSIENT, "it is incomplete: attempt.json is missing");
  if (result == 0)
    result = fs_make_folders (result_fd, folder, 0755, err);
  if (result == 0)
    result = result_store_transfer (store, &listed, result_fd, err);
  buffer_release (&listed.atoms);
  /* Into its place at once; somebody else on this machine may have been quicker. */
  if (result == 0 && renameat2 (result_fd, folder, result_fd, to, RENAME_NOREPLACE) != 0
      && errno != EEXIST && errno != ENOTEMPTY)
    result = error_errno (err, errno, "%s", to);
  (void) fs_remove_tree (result_fd, folder, NULL);
  return result == 0 ? 0 : error_wrap (err, "attempt %s", name);
}

struct stored_single
{
  struct storage_item item;
  bool given;
};

static int
result_store_next_single (void *context, struct storage_item *item, struct error *err)
{
  struct stored_single *single = context;
  (void) err;
  if (single->given)
    return 0;
  single->given = true;
  *item = single->item;
  return 1;
}

int
result_store_receive_output (struct result_store *store, int result_fd, const char *name,
                             const char *path, struct error *err)
{
  auto_free char *local = xasprintf (RESULT_ATTEMPTS "/%s/outputs/%s", name, path);
  auto_free char *key = xasprintf (ATTEMPTS_KEY "/%s/outputs/%s", name, path);
  if (fs_exists (result_fd, local))
    return 0;
  struct stored_single single = { .item = { .path = local, .source = key, .size = -1 } };
  const struct storage_batch batch = { .context = &single,
                                       .next = result_store_next_single,
                                       .folder_fd = result_fd };
  return storage_fetch (store->storage, &batch, err);
}

int
result_store_forget (struct result_store *store, const char *name, struct error *err)
{
  auto_free char *key = xasprintf (ATTEMPTS_KEY "/%s", name);
  return storage_remove (store->storage, key, err);
}

/* ---- sweeping --------------------------------------------------------------------------- */

/* The names in the folder KEY there. */
static int
list_names (struct result_store *store, const char *key, bool folders, struct strlist *names,
            struct error *err)
{
  auto_free char *url = xasprintf ("%s/%s", store->location, key);
  auto_storage struct storage *folder = open_folder (store, url, err);
  return folder == NULL ? -1 : stored_names (folder, folders, names, err);
}

/* Whether all of the attempt NAME is there, or -1. */
int
result_store_is_whole (struct result_store *store, const char *name, struct error *err)
{
  auto_free char *key = xasprintf (ATTEMPTS_KEY "/%s/attempt.json", name);
  return has (store, key, err);
}

int
result_store_end_uploads (struct result_store *store,
                          bool (*counts) (void *context, const char *name), void *context,
                          struct error *err)
{
  auto_strlist struct strlist names = { 0 };
  if (list_names (store, UPLOAD_NOTES, false, &names, err) != 0)
    return -1;
  for (size_t i = 0; i < names.count; i++)
    {
      const char *name = names.items[i];
      bool attempt = strncmp (name, MERGER, strlen (MERGER)) != 0;
      int over = attempt && counts (context, name) ? result_store_is_whole (store, name, err) : 1;
      if (over < 0 || (over > 0 && upload_note_end (store->storage, name, err) != 0))
        return -1;
    }
  return 0;
}

int
result_store_sweep (struct result_store *store, bool (*counts) (void *context, const char *name),
                    void *context, struct error *err)
{
  auto_strlist struct strlist names = { 0 };
  if (list_names (store, ATTEMPTS_KEY, true, &names, err) != 0)
    return -1;
  for (size_t i = 0; i < names.count; i++)
    if (!counts (context, names.items[i]) && result_store_forget (store, names.items[i], err) != 0)
      return -1;
  return 0;
}

/* ---- publishing ------------------------------------------------------------------------- */

/* Renames what a listing of outputs/ found to its content's name there. */
static int
on_merged (void *context, const struct storage_entry *entry, struct error *err)
{
  struct listed *listed = context;
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  if (entry->folder)
    return 0;
  auto_free char *here = xasprintf ("%s/%s", listed->local, entry->path);
  auto_digest struct digest *digest = digest_new ();
  auto_fd int fd = open (here, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || digest_fd (digest, fd, sum, err) < 0)
    return error_errno (err, errno, "%s", here);
  auto_free char *there = xasprintf (RESULT_STORE_MERGED "/%s", digest_format (sum, text));
  auto_free char *source = xasprintf ("outputs/%s", entry->path);
  const struct atom atom = {
    .size = entry->size, .path = there, .path_size = strlen (there), .source = source
  };
  atom_append (&listed->atoms, &atom);
  return 0;
}

static int
add_merged (struct listed *listed, int build_fd, const char *build, struct error *err)
{
  auto_free char *outputs = xasprintf ("%s/outputs", build);
  if (!fs_exists (build_fd, "outputs"))
    return 0;
  listed->local = outputs;
  auto_storage struct storage *here = storage_open (outputs, err);
  const struct storage_visitor visitor = { .context = listed,
                                           .want_sizes = true,
                                           .symlinks = SYMLINKS_SKIP,
                                           .enter = result_store_on_enter,
                                           .entry = on_merged };
  int result = here == NULL ? -1 : storage_list (here, &visitor, err);
  listed->local = NULL;
  return result;
}

/* The file NAME, if it is there, which is called AS there. */
static void
add_file (struct listed *listed, int folder_fd, const char *name, const char *as)
{
  struct stat status;
  if (fstatat (folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return;
  const struct atom atom = {
    .size = status.st_size, .path = as, .path_size = strlen (as), .source = name
  };
  atom_append (&listed->atoms, &atom);
}

/* Everything, the manifest last. */
static int
send_build (struct result_store *store, int build_fd, const char *build, const char *manifest,
            struct error *err)
{
  static const char *const names[] = { "stdout", "stderr", "report.html" };
  char unique[UNIQUE_SIZE];
  struct listed listed = { .outgoing = true }, last = { .outgoing = true };
  auto_free char *note = xasprintf (MERGER "%s", unique_text (unique));
  int result = add_merged (&listed, build_fd, build, err);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    add_file (&listed, build_fd, names[i], names[i]);
  add_file (&last, build_fd, MANIFEST, manifest);
  if (result == 0)
    result = send_noted (store, &listed, build_fd, note, err);
  if (result == 0)
    result = send_noted (store, &last, build_fd, note, err);
  buffer_release (&listed.atoms);
  buffer_release (&last.atoms);
  return result;
}

int
result_store_stands (struct result_store *store, struct error *err)
{
  return has (store, MANIFEST, err);
}

int
result_store_publish (struct result_store *store, int build_fd, const char *build, bool complete,
                      struct error *err)
{
  int stands = complete ? 0 : result_store_stands (store, err);
  if (stands != 0)
    return stands;
  if (send_build (store, build_fd, build, complete ? MANIFEST : MANIFEST_PARTIAL, err) != 0)
    return -1;
  struct error left = ERROR_INIT;
  if (complete && storage_remove (store->storage, MANIFEST_PARTIAL, &left) != 0)
    {
      auto_free char *location = text_log (store->location); /* the result stands all the same */
      log_failure (LOG_WARN, "cleanup_failed", &left, "results=%s", location);
    }
  return 0;
}
