/* The program: finds the command, runs it, turns its error into a line and an exit code. */
#include "cli/commands.h"
#include "cli/docker.h"
#include "cli/help.h"
#include "cli/words.h"
#include "common/auto.h"
#include "common/http/http.h"
#include "common/memory.h"
#include "common/sys.h"
#include "common/text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int
exit_code_of (const struct error *err)
{
  switch (err->class)
    {
    case ERROR_USER:
      return EXIT_USAGE;
    case ERROR_CONFLICT:
      return EXIT_CONFLICT;
    case ERROR_NONE:
    case ERROR_TRANSIENT:
    case ERROR_FATAL:
      break;
    }
  return EXIT_MACHINE;
}

/* One line, whatever the names in it hold. */
static int
main_print_error (const struct error *err)
{
  auto_free char *line = text_shown (err->message);
  (void) fprintf (stderr, "shoal: %s\n", line);
  return exit_code_of (err);
}

static int
unknown_command (const char *name, struct error *err)
{
  const char *best = NULL;
  size_t best_distance = strlen (name) / 3 + 2;
  for (size_t i = 0; commands[i] != NULL; i++)
    {
      size_t distance = options_distance (name, commands[i]->name);
      if (commands[i]->hidden || distance >= best_distance)
        continue;
      best = commands[i]->name;
      best_distance = distance;
    }
  if (best != NULL)
    return error_set (err, ERROR_USER, "unknown command \"%s\": did you mean %s?", name, best);
  return error_set (err, ERROR_USER, "unknown command \"%s\" (shoal --help lists them)", name);
}

static int
main_run (int argc, char **argv, struct error *err)
{
  if (argc < 2)
    return error_set (err, ERROR_USER, "missing command (shoal --help lists them)");
  /* Docker's and Bacalhau's command lines: `docker run …`. */
  bool docker = strcmp (argv[1], "docker") == 0;
  if (docker)
    {
      argc--;
      argv++;
      if (argc < 2 || strcmp (argv[1], "run") != 0)
        return error_set (err, ERROR_USER,
                          "docker: only `shoal docker run` is supported "
                          "(`shoal run --help` describes it)");
    }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    {
      help_general (commands);
      return EXIT_DONE;
    }
  if (strcmp (argv[1], "--version") == 0)
    {
      (void) puts ("shoal " SHOAL_VERSION);
      return EXIT_DONE;
    }
  const struct command *command = command_find (argv[1]);
  if (command == NULL)
    return unknown_command (argv[1], err);
  int result =
      docker ? run_docker (argc - 1, argv + 1, err) : command->run (argc - 1, argv + 1, err);
  if (result != OPTIONS_HELP)
    return result;
  help_command (command);
  return EXIT_DONE;
}

/* ARGV as it was; what `ps` shows of it has no passwords and signatures of URLs any more. */
static char **
hide_secrets (int argc, char **argv)
{
  static char **kept; /* as long as the program runs */
  kept = xcalloc ((size_t) argc + 1, sizeof *kept);
  for (int i = 0; i < argc; i++)
    {
      kept[i] = argv[i];
      if (strstr (argv[i], "://") == NULL)
        continue;
      kept[i] = xstrdup (argv[i]);
      auto_free char *shown = http_url_shown (argv[i]);
      memset (argv[i], '\0', strlen (argv[i]));
      memcpy (argv[i], shown, strlen (shown)); /* never longer */
    }
  return kept;
}

int
main (int argc, char **argv)
{
  struct error err = ERROR_INIT;
  /* Under `ulimit -f` a write says "File too large" and its part goes on. Containers, and all that
   * is spawned, have the default. */
  (void) signal (SIGXFSZ, SIG_IGN);
  int result = sys_fail_from_environment (&err);
  if (result == 0)
    result = main_run (argc, hide_secrets (argc, argv), &err);
  if (result == -1)
    result = main_print_error (&err);
  if (fflush (stdout) != 0 || ferror (stdout))
    {
      (void) fprintf (stderr, "shoal: cannot write to standard output\n");
      if (result == EXIT_DONE)
        result = EXIT_MACHINE;
    }
  return result;
}
