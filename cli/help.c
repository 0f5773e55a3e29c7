/* shoal help: what there is, what a command does, and topics. */
#include "cli/help.h"

#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/run_options.h"
#include "cli/storage_options.h"
#include "cli/submit.h"
#include "common/auto.h"

#include <stdio.h>
#include <string.h>

static const char exit_codes[] =
    "Exit codes\n"
    "\n"
    "    0   the job counts as done: every shard succeeded, or as many as --min-success asks for\n"
    "    1   it doesn't: failed shards beyond the limits, or it was cancelled\n"
    "    2   the command line or the input is wrong; nothing was started\n"
    "    3   the machine failed us: disk, runtime, image; the result can be resumed or retried\n"
    "    4   two shards wrote one path under --on-conflict fail; `shoal merge` can settle it\n"
    "  130   interrupted; `shoal resume` or the same command goes on\n";

static const char patterns[] =
    "Patterns (--glob, --exclude)\n"
    "\n"
    "  *  ?  [a-z]  [^x]  [!x]   within one component, never across a slash\n"
    "  **                        any number of whole components; at the end: every file\n"
    "  {a,b{c,d}}                alternatives, nested\n"
    "  \\x                        x itself\n"
    "\n"
    "The pattern is matched below the base path. Slashes before and behind it don't matter. Files "
    "and\n"
    "folders can both match; when a folder and something in it match, the inside wins. Order is "
    "bytewise\n"
    "by path, the same on every run. `shoal plan … --atoms` shows what a pattern selects.\n";

static const char environment[] =
    "Environment of shoal\n"
    "\n"
    "  SHOAL_BUS             the bus when --bus isn't given\n"
    "  SHOAL_KAFKA_CONFIG    a file of librdkafka's properties; its bootstrap.servers is the bus, "
    "too\n"
    "  SHOAL_IMAGES          the image store's folder\n"
    "  SHOAL_POLICY          what services let jobs do, when --policy isn't given: a file, or "
    "none\n"
    "  SHOAL_STATE_DIR       what is kept of results in S3 on this machine; default: "
    "$XDG_STATE_HOME/shoal\n"
    "  SHOAL_LOG             debug, info, warn or error: what the parts log\n"
    "  SHOAL_TOKEN           who knows it may send jobs by HTTP, when --token-file isn't given\n"
    "  SHOAL_CACHE_DIR  SHOAL_CACHE_SIZE  SHOAL_IPFS_API  SHOAL_IPFS_GATEWAY  "
    "SHOAL_KEEP_ATTEMPTS\n"
    "                        as the options of their names\n"
    "  SHOAL_CA_FILE         the authorities that https servers are believed by (PEM)\n"
    "  SHOAL_FETCH_CONNECTIONS   how many objects are fetched at once\n"
    "  SHOAL_FETCH_MIN_RATE  SHOAL_FETCH_WINDOW_MS   bytes a second that inputs must come at "
    "(1024),\n"
    "                        within each of two windows (30000)\n"
    "  SHOAL_FETCH_UNSIZED_MAX   bytes of inputs whose sizes nobody tells (16 GiB)\n"
    "  SHOAL_HTTP_TRIES      how often a request to a storage is tried\n"
    "  SHOAL_WEB_FOLDERS     how many folders a listing by http may have\n"
    "  SHOAL_S3_STYLE        path or virtual: how a bucket is named in an S3 URL\n"
    "  SHOAL_S3_ANONYMOUS  SHOAL_S3_REQUESTER_PAYS   set: ask without credentials; pay for it\n"
    "  SHOAL_SCHEMA_REGISTRY  SHOAL_SCHEMA_REGISTRY_USER  SHOAL_SCHEMA_REGISTRY_PASSWORD\n"
    "  SHOAL_SCHEMA_REGISTRY_PASSWORD_FILE  SHOAL_SCHEMA_REGISTRY_CA  SHOAL_SCHEMA_CACHE\n"
    "                        the registry of Avro schemas, and where they are kept\n"
    "  SHOAL_CREDENTIALS_DIR     the folder of --credentials-dir\n"
    "  SHOAL_JOB_KEY         the file of --job-key\n"
    "  SHOAL_WEBHOOK_SECRET  SHOAL_WEBHOOK_SECRET_FILE   what webhooks are signed with\n"
    "  SHOAL_FAULT           for tests: CALL:NTH[:ERRNO] makes a system call fail\n"
    "\n"
    "  As AWS's own tools read them:\n"
    "  AWS_ACCESS_KEY_ID  AWS_SECRET_ACCESS_KEY  AWS_SESSION_TOKEN  AWS_PROFILE\n"
    "  AWS_CONFIG_FILE  AWS_SHARED_CREDENTIALS_FILE  AWS_REGION  AWS_DEFAULT_REGION\n"
    "  AWS_ENDPOINT_URL  AWS_ENDPOINT_URL_S3  AWS_ENDPOINT_URL_STS\n"
    "  AWS_ROLE_ARN  AWS_ROLE_SESSION_NAME  AWS_WEB_IDENTITY_TOKEN_FILE\n"
    "  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI  AWS_CONTAINER_CREDENTIALS_FULL_URI\n"
    "  AWS_CONTAINER_AUTHORIZATION_TOKEN  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE\n"
    "  AWS_EC2_METADATA_DISABLED  AWS_EC2_METADATA_SERVICE_ENDPOINT\n"
    "\n"
    "Environment of a container\n"
    "\n"
    "  SHOAL_JOB_ID  SHOAL_SHARD_INDEX  SHOAL_ATTEMPT\n"
    "  SHOAL_SHARD_COUNT   when it is known; `-e SHOAL_SHARD_COUNT` makes it so\n"
    "  SHOAL_ATOMS_FILE    a file with the shard's paths, each ended by NUL\n";

static void
print_options (void)
{
  static const struct option_spec *const tables[] = { job_options, run_options, storage_options,
                                                      fleet_options };
  auto_buffer struct buffer text = { 0 };
  options_help (&text, tables, sizeof tables / sizeof tables[0], false);
  (void) fputs (text.data, stdout);
}

static const struct topic
{
  const char *name;
  const char *text; /* NULL: the options */
  const char *summary;
} topics[] = {
  { "options", NULL, "all options of run and plan" },
  { "exit-codes", exit_codes, "what the exit codes mean" },
  { "patterns", patterns, "the language of --glob and --exclude" },
  { "environment", environment, "variables that matter" },
};

void
help_general (void)
{
  (void) fputs (
      "shoal runs one container image over very many input files: it slices them into shards,\n"
      "runs a container for each, and assembles what they wrote into one result.\n"
      "\n",
      stdout);
  for (size_t i = 0; commands[i] != NULL; i++)
    if (!commands[i]->hidden)
      (void) printf ("  shoal %-10s %s\n", commands[i]->name, commands[i]->summary);
  (void) fputs ("\n"
                "  shoal COMMAND --help tells of a command; `shoal docker run` is `shoal run`.\n"
                "  shoal help TOPIC:\n",
                stdout);
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
    (void) printf ("    %-14s %s\n", topics[i].name, topics[i].summary);
  (void) fputs ("\n"
                "  shoal run -v ./photos:/in -o results:/out --glob '*.jpg' --batch-size 1000 \\\n"
                "    imagemagick -resize 100x100 -path /out '/in/*.jpg'\n",
                stdout);
}

void
help_command (const struct command *command)
{
  auto_buffer struct buffer options = { 0 };
  options_help (&options, command->options, COMMAND_TABLES, true);
  (void) printf ("shoal %s\n\n%c%s.\n", command->synopsis, command->summary[0] & ~0x20,
                 command->summary + 1);
  (void) fputs (command->help, stdout);
  if (options.size > 0)
    (void) printf ("\n%s", options.data);
}

static int
run (int argc, char **argv, struct error *err)
{
  int first = options_operands (NULL, 0, argc, argv, 0, 1, command_help.synopsis, err);
  if (first < 0)
    return first;
  if (first == argc)
    {
      help_general ();
      return EXIT_DONE;
    }
  const char *name = argv[first];
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
    if (strcmp (topics[i].name, name) == 0)
      {
        if (topics[i].text == NULL)
          print_options ();
        else
          (void) fputs (topics[i].text, stdout);
        return EXIT_DONE;
      }
  const struct command *command = command_find (name);
  if (command == NULL)
    return error_set (err, ERROR_USER,
                      "there is no help on \"%s\" (shoal help lists what there is)", name);
  help_command (command);
  return EXIT_DONE;
}

const struct command command_help = {
  .name = "help",
  .synopsis = "help [COMMAND | TOPIC]",
  .summary = "what there is, and topics: options, exit-codes, patterns, environment",
  .help = "\n  shoal help exit-codes\n",
  .run = run,
};
