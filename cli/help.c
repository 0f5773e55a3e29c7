#include "cli/help.h"

#include "cli/bus_options.h"
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
    "    0   the job succeeded: all shards, or the share that --min-success requires\n"
    "    1   the job failed (too many failed shards, or a time limit) or was cancelled\n"
    "    2   usage error: wrong command line or input; nothing was started\n"
    "    3   infrastructure error (disk, runtime, image, broker); resume or retry the job\n"
    "    4   output conflict: two shards wrote one path under --on-conflict fail; resolve it with\n"
    "        `shoal merge --on-conflict`\n"
    "  130   interrupted; continue with `shoal resume` or the same command\n";

static const char patterns[] =
    "Patterns (--glob, --exclude)\n"
    "\n"
    "  *  ?  [a-z]  [^x]  [!x]   within one path component, never across a slash\n"
    "  **                        any number of path components; at the end: every file below\n"
    "  {a,b{c,d}}                alternatives, nested\n"
    "  \\x                        x literally\n"
    "\n"
    "The pattern is relative to the base path; leading and trailing slashes are ignored. Files "
    "and\n"
    "folders can match; if a folder and something inside it match, only the inside counts. Order "
    "is\n"
    "bytewise by path, the same on every run. `shoal plan … --atoms` lists what a pattern "
    "selects.\n";

static const char environment[] =
    "Environment of shoal\n"
    "\n"
    "  SHOAL_BUS             default of --bus\n"
    "  SHOAL_KAFKA_CONFIG    file of librdkafka properties; bootstrap.servers in it names the bus\n"
    "  SHOAL_IMAGES          default of --images, the image store\n"
    "  SHOAL_POLICY          default of --policy: a policy file, or none\n"
    "  SHOAL_POD_IMAGE  SHOAL_POD_IMAGE_ID  SHOAL_POD_SOCKET  SHOAL_POD_FOLDER\n"
    "                        defaults of the options of worker --runtime pod\n"
    "  SHOAL_DELETION_COST   default of worker --deletion-cost\n"
    "  SHOAL_STATE_DIR       local state of results on S3 (default $XDG_STATE_HOME/shoal)\n"
    "  SHOAL_STOP_GRACE      seconds from SIGTERM to SIGKILL; default of --drain-timeout: 5 s "
    "less\n"
    "  SHOAL_LOG             log level of services: debug, info, warn or error (default info)\n"
    "  SHOAL_LOG_FORMAT      log format of services: logfmt or json (default logfmt)\n"
    "  SHOAL_TOKEN           bearer token of the job API, instead of --token-file\n"
    "  SHOAL_CACHE_DIR  SHOAL_CACHE_SIZE  SHOAL_IPFS_API  SHOAL_IPFS_GATEWAY  "
    "SHOAL_KEEP_ATTEMPTS\n"
    "                        defaults of the options with these names\n"
    "  SHOAL_CREDENTIALS_DIR   default of --credentials-dir\n"
    "  SHOAL_JOB_KEY         default of --job-key\n"
    "  SHOAL_CA_FILE         CA bundle for HTTPS (PEM)\n"
    "  SHOAL_FETCH_CONNECTIONS   maximum parallel downloads\n"
    "  SHOAL_FETCH_MIN_RATE  SHOAL_FETCH_WINDOW_MS\n"
    "                        minimum download rate in bytes per second (default 1024), measured\n"
    "                        over a window (default 30000 ms)\n"
    "  SHOAL_FETCH_UNSIZED_MAX   size limit for a download of unknown size (default 16 GiB)\n"
    "  SHOAL_HTTP_TRIES      attempts per storage request (default 8)\n"
    "  SHOAL_WEB_FOLDERS     maximum folders in an HTTP listing (default 1000000)\n"
    "  SHOAL_IPFS_FOLDERS    maximum folders in an IPFS listing (default 1000000)\n"
    "  SHOAL_LIST_TIMEOUT_MS   time limit in ms for listing a job's inputs (default 21600000)\n"
    "  SHOAL_S3_STYLE        S3 addressing style: path or virtual\n"
    "  SHOAL_S3_ANONYMOUS    if set, send S3 requests without credentials\n"
    "  SHOAL_S3_REQUESTER_PAYS   if set, accept the charges of requester-pays buckets\n"
    "  SHOAL_SCHEMA_REGISTRY  SHOAL_SCHEMA_REGISTRY_USER  SHOAL_SCHEMA_REGISTRY_PASSWORD\n"
    "  SHOAL_SCHEMA_REGISTRY_PASSWORD_FILE  SHOAL_SCHEMA_REGISTRY_CA  SHOAL_SCHEMA_CACHE\n"
    "                        Avro schema registry: URL, login, CA bundle (PEM), local cache\n"
    "  SHOAL_WEBHOOK_SECRET  SHOAL_WEBHOOK_SECRET_FILE   key that signs webhooks\n"
    "  SHOAL_FAULT           for tests: CALL:NTH[:ERRNO] makes a system call fail\n"
    "\n"
    "  Read as by the AWS command line tools:\n"
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
    "  SHOAL_SHARD_COUNT   only if known at start; `-e SHOAL_SHARD_COUNT` guarantees it\n"
    "  SHOAL_ATOMS_FILE    file with the paths of the shard's input files, NUL-terminated\n";

static void
print_options (void)
{
  static const struct option_spec *const tables[] = { job_options,       run_options,
                                                      supervise_options, storage_options,
                                                      fleet_options,     bus_options };
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
  { "options", NULL, "all options of run, plan and submit" },
  { "exit-codes", exit_codes, "exit codes and their meaning" },
  { "patterns", patterns, "pattern syntax of --glob and --exclude" },
  { "environment", environment, "environment variables" },
};

void
help_general (const struct command *const *table)
{
  (void) fputs (
      "shoal runs one container image over very many input files: it splits them into shards,\n"
      "runs a container for each shard, and assembles their outputs into one result.\n"
      "\n",
      stdout);
  for (size_t i = 0; table[i] != NULL; i++)
    if (!table[i]->hidden)
      (void) printf ("  shoal %-10s %s\n", table[i]->name, table[i]->summary);
  (void) fputs ("\n"
                "  `shoal COMMAND --help` describes a command. `shoal docker run` is an alias of "
                "`shoal run`.\n"
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

bool
help_topic (const char *name)
{
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
    if (strcmp (topics[i].name, name) == 0)
      {
        if (topics[i].text == NULL)
          print_options ();
        else
          (void) fputs (topics[i].text, stdout);
        return true;
      }
  return false;
}
