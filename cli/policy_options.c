#include "cli/policy_options.h"

#include <stdlib.h>

#define SETTER(name) static int set_##name (void *context, const char *value, struct error *err)

#define ARGS(context) ((struct policy_args *) (context))

SETTER (policy)
{
  (void) err;
  ARGS (context)->file = value;
  return 0;
}

SETTER (volume_root)
{
  (void) err;
  strlist_add (&ARGS (context)->volume_roots, value);
  return 0;
}

SETTER (results_root)
{
  (void) err;
  strlist_add (&ARGS (context)->results_roots, value);
  return 0;
}

const struct option_spec policy_options[] = {
  { 0, "policy", NULL, "FILE", "policy file for jobs; none: no restrictions (default SHOAL_POLICY)",
    GROUP_OTHER, false, set_policy },
  { 0, "volume-root", NULL, "DIR", "directory that jobs may read inputs from; repeatable",
    GROUP_OTHER, false, set_volume_root },
  { 0, "results-root", NULL, "DIR", "directory that jobs may write results to; repeatable",
    GROUP_OTHER, false, set_results_root },
  { 0 },
};

void
policy_args_release (struct policy_args *args)
{
  strlist_release (&args->volume_roots);
  strlist_release (&args->results_roots);
}

static int
add_folders (const struct strlist *roots, const char *option, struct policy_places *places,
             struct error *err)
{
  for (size_t i = 0; i < roots->count; i++)
    if (policy_add_folder (places, roots->items[i], err) != 0)
      return error_wrap (err, "--%s", option);
  return 0;
}

int
policy_args_load (const struct policy_args *args, struct policy *policy, struct error *err)
{
  const char *named = getenv ("SHOAL_POLICY");
  const char *file = args->file != NULL                  ? args->file
                     : named != NULL && named[0] != '\0' ? named
                                                         : NULL;
  if (policy_load (file, policy, err) != 0)
    return error_wrap (err, args->file != NULL ? "--policy" : "SHOAL_POLICY");
  if (add_folders (&args->volume_roots, "volume-root", &policy->inputs, err) != 0)
    return -1;
  return add_folders (&args->results_roots, "results-root", &policy->results, err);
}
