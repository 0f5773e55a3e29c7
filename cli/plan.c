/* shoal plan: what would run. Nothing is created. */
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/json_text.h"
#include "cli/run_options.h"
#include "cli/storage_options.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "producer/slicer.h"
#include "schemas/codec.h"
#include "schemas/job_bounds.h"
#include "storage/storage.h"
#include "worker/image_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum
{
  EXAMPLES = 3, /* shards that the summary shows */
};

struct plan_args
{
  struct job_args *job_args;
  bool atoms;
  bool shards;
  bool nul;
  bool json;
  bool exact; /* paths are for a program: their bytes as they are */
};

#define SWITCH(name)                                                                               \
  static int set_##name (void *context, const char *value, struct error *err)                      \
  {                                                                                                \
    (void) value;                                                                                  \
    (void) err;                                                                                    \
    ((struct plan_args *) context)->name = true;                                                   \
    return 0;                                                                                      \
  }

SWITCH (atoms)
SWITCH (nul)
SWITCH (json)

/* `--shards` lists, `--shards N` slices, as `run` has it. */
static int
plan_set_shards (void *context, const char *value, struct error *err)
{
  struct plan_args *args = context;
  if (value != NULL)
    return units_parse_number (value, 1, INT32_MAX, &args->job_args->job.shards, err);
  args->shards = true;
  return 0;
}

static const struct option_spec plan_options[] = {
  { 0, "atoms", NULL, NULL, "print one path per line, as seen in the container", GROUP_OTHER, false,
    set_atoms },
  { 0, "shards", NULL, "[N]",
    "print shard number, tab, path; with N: split into N shards, as in run", GROUP_OTHER, false,
    plan_set_shards },
  { '0', "null", NULL, NULL, "end lines in NUL instead of newline", GROUP_OTHER, false, set_nul },
  { 0, "json", NULL, NULL, "print as JSON", GROUP_OTHER, false, set_json },
  { 0 },
};

struct printer
{
  const struct job *job;
  const struct plan_args *args;
  struct
  {
    int64_t atoms;
    char *first;
    char *last;
  } examples[EXAMPLES];
  struct left_out left_out;
};

/* ---- one shard -------------------------------------------------------------------------- */

static void
print_atom (const struct printer *printer, const struct shard *shard, const char *path)
{
  if (printer->args->shards)
    (void) printf ("%u\t", shard->index);
  auto_free char *shown = printer->args->exact ? NULL : text_shown (path);
  (void) fputs (printer->args->exact ? path : shown, stdout);
  (void) putchar (printer->args->nul ? '\0' : '\n');
}

static void
print_shard_json (const struct printer *printer, const struct shard *shard, json_t *paths)
{
  json_t *object = json_object ();
  json_set_number (object, "shard", shard->index);
  json_set_number (object, "bytes", shard->bytes);
  (void) json_object_set_new (object, "atoms", paths);
  (void) printer;
  json_put_line (object, stdout);
}

static void
keep_example (struct printer *printer, const struct shard *shard, const char *path)
{
  if (shard->index >= EXAMPLES)
    return;
  if (printer->examples[shard->index].first == NULL)
    printer->examples[shard->index].first = xstrdup (path);
  free (printer->examples[shard->index].last);
  printer->examples[shard->index].last = xstrdup (path);
  printer->examples[shard->index].atoms = shard->atom_count;
}

static int
plan_on_shard (void *context, const struct shard *shard, struct error *err)
{
  struct printer *printer = context;
  const struct plan_args *args = printer->args;
  bool listed = args->atoms || args->shards;
  if (!listed && shard->index >= EXAMPLES)
    return 0;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (buffer_bytes (&shard->atoms));
  json_t *paths = listed && args->json ? json_array () : NULL;
  for (;;)
    {
      struct atom atom = { 0 };
      int got = atom_cursor_next (&cursor, &atom, err);
      if (got < 0)
        return -1;
      if (got == 0)
        break;
      auto_free char *path = slicer_atom_path (printer->job, &atom);
      if (paths != NULL)
        {
          json_t *holder = json_object ();
          json_set_text (holder, "path", path);
          (void) json_array_append_new (paths, holder);
        }
      else if (listed)
        print_atom (printer, shard, path);
      else
        keep_example (printer, shard, path);
    }
  if (paths != NULL)
    print_shard_json (printer, shard, paths);
  if (ferror (stdout))
    return error_set (err, ERROR_TRANSIENT, "standard output: %s", strerror (errno));
  return 0;
}

/* ---- summary ---------------------------------------------------------------------------- */

static bool
have_image (const char *name, const char *images)
{
  auto_free char *store = images != NULL ? xstrdup (images) : image_store_default ();
  auto_image struct image image = { 0 };
  return image_store_find (store, name, &image, NULL) == 0;
}

static void
print_slicing (const struct job *job, const struct plan *plan)
{
  auto_free char *shards = words_plural (plan->shards, "shard");
  auto_free char *atoms = words_plural (plan->atoms, "file");
  char size[UNITS_TEXT_SIZE];
  if (job->glob == NULL)
    {
      (void) puts ("plan      one shard with the whole input (no --glob)");
      return;
    }
  auto_free char *listed = words_plural (plan->listed, "path");
  (void) printf ("plan      %s in %s", atoms, shards);
  if (plan->bytes >= 0)
    (void) printf (", %s", units_format_size (plan->bytes, size));
  (void) printf ("; %s scanned\n", listed);
  auto_free char *glob = text_shown (job->glob);
  auto_free char *base = text_shown (job->base_path);
  (void) printf ("pattern   %s below %s\n", glob, base);
}

static void
print_examples (const struct printer *printer, const struct plan *plan)
{
  if (printer->job->glob == NULL)
    return;
  for (int64_t i = 0; i < EXAMPLES && i < plan->shards; i++)
    {
      auto_free char *count = words_plural (printer->examples[i].atoms, "file");
      auto_free char *first = text_shown (printer->examples[i].first);
      auto_free char *last = text_shown (printer->examples[i].last);
      bool one = printer->examples[i].atoms == 1;
      (void) printf ("shard %lld   %s: %s%s%s\n", (long long) i, count, first, one ? "" : " … ",
                     one ? "" : last);
    }
  if (plan->shards > EXAMPLES)
    (void) puts ("          …");
}

/* LABEL: what IMAGE with COMMAND is of the job. */
static void
print_container (const struct job *job, const char *label, const char *image,
                 const struct strlist *command, const char *images)
{
  if (image == NULL)
    return;
  auto_free char *line = text_words (image, command);
  auto_free char *shown = text_shown (image);
  auto_free char *word = text_word (image);
  (void) printf ("%s%s\n", label, line);
  if (strcmp (job->runtime, "oci") == 0 && !have_image (image, images))
    (void) printf ("image     %s is not in the image store: shoal image import SOURCE --as %s\n",
                   shown, word);
}

static void
print_summary (const struct printer *printer, const struct plan *plan, const char *images)
{
  const struct job *job = printer->job;
  print_container (job, "command   ", job->image, &job->command, images);
  print_container (job, "reduce    ", job->reduce_image, &job->reduce_command, images);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      auto_free char *source = storage_shown (job->volumes[i].source);
      auto_free char *volume = xasprintf ("%s:%s", source, job->volumes[i].path);
      auto_free char *shown = text_shown (volume);
      (void) printf ("input     %s%s\n", shown,
                     job->volumes[i].shared ? " (whole, in every shard)" : "");
    }
  for (size_t i = 0; i < job->output_count; i++)
    {
      auto_free char *name = text_shown (job->outputs[i].name);
      auto_free char *path = text_shown (job->outputs[i].path);
      (void) printf ("output    outputs/%s ← %s\n", name, path);
    }
  print_slicing (job, plan);
  print_examples (printer, plan);
  auto_free char *text = left_out_text (&printer->left_out);
  auto_free char *shown = text_shown (text == NULL ? "" : text);
  if (text != NULL)
    (void) printf ("left out  %s\n", shown);
}

static void
print_summary_json (const struct printer *printer, const struct plan *plan)
{
  const struct job *job = printer->job;
  char digest[DIGEST_TEXT_SIZE];
  json_t *object = json_object ();
  json_set_text (object, "image", job->image);
  json_set_text (object, "glob", job->glob);
  json_set_text (object, "base_path", job->base_path);
  if (job->glob != NULL && job->batch_size < JOB_COUNT_MAX)
    json_set_number (object, "batch_size", job->batch_size);
  json_set_number (object, "shards", plan->shards);
  json_set_number (object, "atoms", plan->atoms);
  json_set_number (object, "bytes", plan->bytes);
  json_set_number (object, "listed", plan->listed);
  auto_free char *left_out = left_out_text (&printer->left_out);
  json_set_text (object, "left_out", left_out);
  json_set_text (object, "digest", digest_format (plan->digest, digest));
  json_put_line (object, stdout);
}

/* ---- the command ------------------------------------------------------------------------ */

static int
print_plan (const struct job *job, const struct plan_args *args, const char *images,
            struct error *err)
{
  struct printer printer = { .job = job, .args = args };
  const struct slicer_sink sink = {
    .context = &printer, .shard = plan_on_shard, .plan_fd = -1, .left_out = &printer.left_out
  };
  struct plan plan = { .bytes = -1 };
  int result = slicer_run (job, &sink, &plan, err);
  if (result == 0 && !args->atoms && !args->shards)
    {
      if (args->json)
        print_summary_json (&printer, &plan);
      else
        print_summary (&printer, &plan, images);
    }
  for (int i = 0; i < EXAMPLES; i++)
    {
      free (printer.examples[i].first);
      free (printer.examples[i].last);
    }
  left_out_release (&printer.left_out);
  return result;
}

static int
plan_run (int argc, char **argv, struct error *err)
{
  auto_job_args struct job_args args;
  job_args_init (&args);
  struct run_options options = { 0 };
  struct plan_args plan_args = { .job_args = &args };
  const struct option_set sets[] = { { plan_options, &plan_args }, /* its --shards comes first */
                                     { job_options, &args },
                                     { run_options, &options },
                                     { supervise_options, &options },
                                     { storage_options, NULL } };
  int first = options_parse (sets, 5, argc, argv, err);
  if (first < 0)
    return first;
  if (job_args_operands (&args, argc - first, argv + first, command_plan.synopsis, err) != 0
      || job_args_finish (&args, err) != 0)
    return -1;
  plan_args.exact = plan_args.nul || !isatty (STDOUT_FILENO);
  return print_plan (&args.job, &plan_args, options.images, err);
}

const struct command command_plan = {
  .name = "plan",
  .synopsis = "plan [options of run] IMAGE [ARG…]",
  .summary = "print what a job would run, without running it",
  .help =
      "Takes and checks all options of run, and creates nothing. Without options of its own it\n"
      "prints a summary. On a terminal, control characters in paths are escaped (\\x1b); with\n"
      "--null or in a pipe, paths are printed as they are.\n"
      "\n"
      "  shoal plan -v ./photos:/in --glob '*.jpg' --batch-size 1000 --shards imagemagick\n",
  .options = { plan_options },
  .run = plan_run,
};
