#include "result/stored_names.h"

struct gathering
{
  struct strlist *names;
  bool folders; /* else files */
};

static int
gather_name (void *context, const struct storage_entry *entry, struct error *err)
{
  struct gathering *gathering = context;
  (void) err;
  if (entry->folder == gathering->folders)
    strlist_add (gathering->names, entry->path);
  return 0;
}

static bool
enter_root (void *context, const char *path, size_t size)
{
  (void) context;
  (void) path;
  return size == 0;
}

int
stored_names (struct storage *folder, bool folders, struct strlist *names, struct error *err)
{
  struct gathering gathering = { .names = names, .folders = folders };
  const struct storage_visitor visitor = {
    .context = &gathering, .shallow = true, .enter = enter_root, .entry = gather_name
  };
  return storage_list (folder, &visitor, err);
}
