#include "bus/settings.h"

#include "common/memory.h"
#include "schemas/job_bounds.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* What was set of a job; CONTROL_KEPT: as it was submitted. */
struct setting
{
  const char *id; /* in `text` */
  int32_t priority;
  int64_t max_parallel;
  bool paused;
  char text[];
};

struct settings
{
  void *tree; /* by id, tsearch(3) */
};

struct settings *
settings_new (void)
{
  return xcalloc (1, sizeof (struct settings));
}

void
settings_free (struct settings *settings)
{
  if (settings == NULL)
    return;
  tdestroy (settings->tree, free);
  free (settings);
}

static int
setting_by_id (const void *a, const void *b)
{
  return strcmp (((const struct setting *) a)->id, ((const struct setting *) b)->id);
}

static struct setting *
settings_find (const struct settings *settings, const char *id)
{
  struct setting wanted = { .id = id };
  void *node = tfind (&wanted, &settings->tree, setting_by_id);
  return node == NULL ? NULL : *(struct setting **) node;
}

static struct setting *
settings_need (struct settings *settings, const char *id)
{
  struct setting *setting = settings_find (settings, id);
  if (setting != NULL)
    return setting;
  size_t size = strlen (id) + 1;
  setting = xcalloc (1, sizeof *setting + size);
  memcpy (setting->text, id, size);
  setting->id = setting->text;
  setting->priority = CONTROL_KEPT;
  setting->max_parallel = CONTROL_KEPT;
  if (tsearch (setting, &settings->tree, setting_by_id) == NULL)
    abort ();
  return setting;
}

/* Others write control records as well: what is out of bounds is brought in. */
static int32_t
settings_bound (int32_t priority)
{
  return priority > JOB_PRIORITY_MAX    ? JOB_PRIORITY_MAX
         : priority < -JOB_PRIORITY_MAX ? -JOB_PRIORITY_MAX
                                        : priority;
}

void
settings_apply (struct settings *settings, const struct control *control)
{
  if (control->kind != CONTROL_SET)
    return;
  struct setting *setting = settings_need (settings, control->job_id);
  if (control->priority != CONTROL_KEPT)
    setting->priority = settings_bound (control->priority);
  if (control->max_parallel >= 0)
    setting->max_parallel = control->max_parallel;
  if (control->paused != CONTROL_KEPT)
    setting->paused = control->paused == 1;
}

struct settings *
settings_read (struct bus *bus, struct error *err)
{
  auto_settings struct settings *settings = settings_new ();
  for (int64_t position = 0;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (bus, &position, &control, err);
      if (got < 0)
        return NULL;
      if (got == 0)
        return take (&settings);
      settings_apply (settings, &control);
    }
}

struct job_settings
settings_of (const struct settings *settings, const struct job *job)
{
  const struct setting *setting = settings_find (settings, job->id);
  struct job_settings found = { .priority = settings_bound (job->priority),
                                .max_parallel = job->max_parallel > 0 ? job->max_parallel : -1 };
  if (setting == NULL)
    return found;
  found.paused = setting->paused;
  if (setting->priority != CONTROL_KEPT)
    found.priority = setting->priority;
  if (setting->max_parallel >= 0)
    found.max_parallel = setting->max_parallel > 0 ? setting->max_parallel : -1;
  return found;
}
