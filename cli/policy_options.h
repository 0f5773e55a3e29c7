/* policy_options.h — the options that say what a service lets jobs do: one policy, the same for all
 * services of a fleet. */
#ifndef SHOAL_CLI_POLICY_OPTIONS_H
#define SHOAL_CLI_POLICY_OPTIONS_H

#include "cli/options.h"
#include "policy/policy.h"

struct policy_args
{
  const char *file; /* --policy, else SHOAL_POLICY; NULL: the defaults */
  struct strlist volume_roots;
  struct strlist results_roots;
};

void policy_args_release (struct policy_args *args);
#define auto_policy_args AUTO (policy_args_release)

extern const struct option_spec policy_options[];

/* Reads the file that is named into POLICY, and adds the roots. ERROR_USER. */
int policy_args_load (const struct policy_args *args, struct policy *policy, struct error *err);

#endif
