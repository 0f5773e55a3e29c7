/* The policy file: what is read of it, what is refused in it, and what it lets jobs do. */
#include "policy/policy_check.h"

#include "common/fs.h"
#include "common/memory.h"
#include "policy/policy_url.h"
#include "schemas/job_bounds.h"
#include "schemas/job_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
read_text (const char *text, struct policy *policy)
{
  struct error err = ERROR_INIT;
  if (policy_parse ((struct bytes){ text, strlen (text) }, policy, &err) != 0)
    fail_msg ("%s: %s", text, err.message);
}

static void
start_job (struct job *job)
{
  job_init (job);
  job->id = xstrdup ("j");
  job->image = xstrdup ("busybox");
  job->results = xstrdup ("s3://results/r");
  strlist_add (&job->command, "true");
}

static void
set (char **slot, const char *text)
{
  free (*slot);
  *slot = xstrdup (text);
}

/* FIELD NULL: the job passes. */
static void
expect (const struct policy *policy, struct job *job, const char *field, const char *reason)
{
  struct error err = ERROR_INIT;
  const char *wrong = NULL;
  if (job_check (job, &wrong, &err) != 0)
    fail_msg ("%s: %s", wrong, err.message);
  int result = policy_check_job (policy, job, &wrong, &err);
  if (field == NULL && result != 0)
    fail_msg ("%s: %s", wrong, err.message);
  if (field == NULL)
    return;
  if (result == 0)
    fail_msg ("passes, %s was to be blamed", field);
  assert_int_equal (err.class, ERROR_USER);
  assert_string_equal (wrong, field);
  if (strncmp (err.message, "policy: ", 8) != 0 || strstr (err.message, reason) == NULL)
    fail_msg ("\"%s\" doesn't say \"%s\"", err.message, reason);
}

/* ---- the file --------------------------------------------------------------------------- */

static void
what_is_wrong_is_named_with_its_line (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "", "line 1: invalid JSON" },
    { "[]", "line 1: expected a JSON object" },
    { "{\n\"runtimes\": [\"oci\"],\n\"colour\": 1}", "line 3: colour: unknown member" },
    { "{\"runtimes\": [\"oci\"], \"runtimes\": []}", "line 1: invalid JSON: duplicate" },
    { "{\"runtimes\": \"oci\"}", "line 1: runtimes: expected an array" },
    { "{\"runtimes\": [\"docker\"]}", "line 1: runtimes: \"docker\" is none of" },
    { "{\"runtimes\": [5]}", "line 1: runtimes: expected strings" },
    { "{\"runtimes\": [\"\"]}", "line 1: runtimes: expected strings" },
    { "{\"networks\": [\"bridge\"]}", "line 1: networks: \"bridge\" is none of" },
    { "{\"symlinks\": [\"x\"]}", "line 1: symlinks: \"x\" is none of" },
    { "{\"devices\": [\"gpu\"]}", "line 1: devices: \"gpu\": expected /dev/NAME or" },
    { "{\"images\": [\"sha256:12\"]}", "line 1: images: \"sha256:12\": expected" },
    { "{\"users\": [\"1-\"]}", "line 1: users: " },
    { "{\"users\": [\"5-1\"]}", "line 1: users: \"5-1\": the range ends before" },
    { "{\"users\": [\"4294967295\"]}", "line 1: users: " },
    { "{\"inputs\": [\"data\"]}", "line 1: inputs: \"data\": not a valid location" },
    { "{\"inputs\": [\"/a/../b\"]}", "line 1: inputs: /a/../b: a path can't contain" },
    { "{\"inputs\": [\"gopher://h\"]}", "line 1: inputs: " },
    { "{\"inputs\": [\"https://u:p@h/\"]}", "line 1: inputs: " },
    { "{\"results\": [\"https://h/\"]}", "line 1: results: " },
    { "{\"webhooks\": [\"/data\"]}", "line 1: webhooks: " },
    { "{\"queues\": [\"GPU\"]}", "line 1: queues: " },
    { "{\"credentials\": [\"../x\"]}", "line 1: credentials: " },
    { "{\n\n\"limits\": []}", "line 3: limits: expected an object" },
    { "{\"limits\": {\n\"ram\": 1}}", "line 2: limits.ram: unknown member" },
    { "{\"limits\": {\"memory\": {\n\n\"least\": 1}}}",
      "line 3: limits.memory.least: unknown member" },
    { "{\"limits\": {\"memory\": \"lots\"}}", "line 1: limits.memory: \"lots\" is not a size" },
    { "{\"limits\": {\"memory\": -1}}", "line 1: limits.memory: -1 is out of range" },
    { "{\"limits\": {\"timeout\": 5}}", "line 1: limits.timeout: expected a duration" },
    { "{\"limits\": {\"cpus\": 1.5}}", "line 1: limits.cpus: expected a number of CPUs" },
    { "{\"limits\": {\"pids\": 9223372036854775807}}", "line 1: limits.pids: " },
    { "{\"limits\": {\"memory\": {\"default\": \"2g\", \"most\": \"1g\"}}}", "default is larger" },
    { "{\"tokens\": [{\"name\": \"a\"}]}", "line 1: tokens: expected objects with name" },
    { "{\"tokens\": [{\"name\": \"a\", \"sha256\": \"12\"}]}", "tokens.sha256: expected 64" },
    { "{\"tokens\": [5]}", "line 1: tokens: expected objects" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_policy struct policy policy = { 0 };
      if (policy_parse ((struct bytes){ cases[i][0], strlen (cases[i][0]) }, &policy, &err) == 0)
        fail_msg ("taken: %s", cases[i][0]);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, cases[i][1]) == NULL)
        fail_msg ("%s: \"%s\" doesn't say \"%s\"", cases[i][0], err.message, cases[i][1]);
    }
}

#define WHOLE                                                                                      \
  "{\"runtimes\": [\"process\", \"oci\"], \"networks\": [\"host\"], \"symlinks\": [\"skip\"],"     \
  " \"devices\": [\"/dev/x\", \"v.w/c=*\"],"                                                       \
  " \"images\": [\"b\", \"a\", \"a\"], \"queues\": [\"gpu\"], \"credentials\": [\"team\"],"        \
  " \"users\": [\"1000-1999\", \"5\"], \"inputs\": [\"/b\", \"/a//\", \"s3://x\"],"                \
  " \"results\": [\"/r\"], \"webhooks\": [\"https://h\"],"                                         \
  " \"limits\": {\"memory\": \"8g\", \"cpus\": {\"most\": \"2\", \"default\": \"0.5\"},"           \
  " \"timeout\": {\"default\": \"1h\"}, \"retries\": 3}}"

static void
its_text_reads_back (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  auto_policy struct policy back = { 0 };
  char one[POLICY_DIGEST_SIZE];
  char two[POLICY_DIGEST_SIZE];
  read_text (WHOLE, &policy);
  auto_free char *text = policy_format (&policy);
  read_text (text, &back);
  auto_free char *again = policy_format (&back);
  assert_string_equal (text, again);
  assert_string_equal (policy_digest (&policy, one), policy_digest (&back, two));
  assert_int_equal (back.limits[POLICY_MEMORY].most, (int64_t) 8 << 30);
  assert_int_equal (back.limits[POLICY_CPUS].otherwise, 500);
  assert_int_equal (back.limits[POLICY_TIMEOUT].otherwise, 3600000);
  assert_int_equal (back.limits[POLICY_PIDS].most, -1);
  assert_true (strlen (one) == 16);
}

static void
order_makes_no_difference (void **state)
{
  (void) state;
  auto_policy struct policy one = { 0 };
  auto_policy struct policy two = { 0 };
  auto_policy struct policy three = { 0 };
  char text[3][POLICY_DIGEST_SIZE];
  read_text ("{\"images\": [\"a\", \"b\"], \"queues\": [\"x\"]}", &one);
  read_text ("{ \"queues\":[\"x\"],\"images\":[\"b\",\"a\",\"b\"]}", &two);
  read_text ("{\"images\": [\"a\", \"c\"], \"queues\": [\"x\"]}", &three);
  assert_string_equal (policy_digest (&one, text[0]), policy_digest (&two, text[1]));
  assert_string_not_equal (text[0], policy_digest (&three, text[2]));
}

/* ---- what holds without a file, and for what a file doesn't name ------------------------ */

static void
defaults_are_safe (void **state)
{
  (void) state;
  static const char *const texts[] = { NULL, "{}" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_policy struct policy policy = { 0 };
      auto_job struct job job;
      if (texts[i] == NULL)
        assert_int_equal (policy_load (NULL, &policy, NULL), 0);
      else
        read_text (texts[i], &policy);
      start_job (&job);
      expect (&policy, &job, NULL, NULL);
      set (&job.runtime, "process");
      expect (&policy, &job, "runtime", "runtimes: process isn't allowed");
      set (&job.runtime, "oci");
      job.network = NETWORK_HOST;
      expect (&policy, &job, "network", "networks: host isn't allowed");
      job.network = NETWORK_NONE;
      job.symlinks = SYMLINKS_FOLLOW;
      expect (&policy, &job, "symlinks", "symlinks: follow isn't allowed");
      job.symlinks = SYMLINKS_BENEATH;
      strlist_add (&job.devices, "/dev/null");
      expect (&policy, &job, "devices", "devices: /dev/null isn't allowed");
      strlist_release (&job.devices);
      set (&job.results, "/tmp/r");
      expect (&policy, &job, "results", "results: /tmp/r isn't allowed");
      set (&job.results, "s3://any/r");
      job.volumes = xcalloc (1, sizeof *job.volumes);
      job.volumes[job.volume_count++] =
          (struct volume){ .source = xstrdup ("/etc"), .path = xstrdup ("/in") };
      expect (&policy, &job, "volumes", "inputs: /etc isn't allowed");
      set (&job.volumes[0].source, "/no/such/folder");
      expect (&policy, &job, "volumes", "inputs: /no/such/folder isn't allowed");
      set (&job.volumes[0].source, "https://host/list.jsonl");
      expect (&policy, &job, NULL, NULL);
    }
}

/* A star stays within one part; a node is known by where it is on the machine. */
static void
devices_are_named_by_patterns (void **state)
{
  (void) state;
  static const struct
  {
    const char *device;
    bool allowed;
  } cases[] = {
    { "vendor.com/gpu=0", true },
    { "vendor.com/gpu=all", true },
    { "vendor.com/gpus=0", false },
    { "other.com/gpu=0", false },
    { "/dev/fuse", true },
    { "/dev/fuse:/dev/anything:r", true },
    { "/dev/kvm:/dev/fuse", false },
    { "/dev/dri/card0", true },
    { "/dev/dri/by-path/card0", false },
    { "/dev/fuse2", false },
  };
  auto_policy struct policy policy = { 0 };
  auto_job struct job job;
  read_text ("{\"devices\": [\"vendor.com/gpu=*\", \"/dev/fuse\", \"/dev/dri/*\"]}", &policy);
  start_job (&job);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      strlist_add (&job.devices, cases[i].device);
      expect (&policy, &job, cases[i].allowed ? NULL : "devices",
              cases[i].allowed ? NULL : cases[i].device);
      strlist_release (&job.devices);
    }
}

static void
none_refuses_nothing (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  auto_job struct job job;
  char text[POLICY_DIGEST_SIZE];
  assert_int_equal (policy_load ("none", &policy, NULL), 0);
  start_job (&job);
  set (&job.runtime, "process");
  set (&job.results, "/tmp/r");
  job.network = NETWORK_HOST;
  expect (&policy, &job, NULL, NULL);
  expect (NULL, &job, NULL, NULL);
  assert_string_equal (policy_digest (&policy, text), "none");
}

/* ---- places ----------------------------------------------------------------------------- */

struct tree
{
  char root[64];
};

static char *
path_in (const struct tree *tree, const char *rest)
{
  return xasprintf ("%s/%s", tree->root, rest);
}

static int
make_tree (void **state)
{
  static const char *const folders[] = { "data",
                                         "data/sub",
                                         "data2",
                                         "secret",
                                         "results",
                                         "results/r.partial",
                                         "results/r.partial/.shoal",
                                         "results/r.partial/.shoal/tmp",
                                         "results/r.partial/.shoal/tmp/a" };
  struct tree *tree = xcalloc (1, sizeof *tree);
  (void) strcpy (tree->root, "/tmp/shoal-policy-XXXXXX");
  assert_non_null (mkdtemp (tree->root));
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    {
      auto_free char *path = path_in (tree, folders[i]);
      assert_int_equal (mkdir (path, 0755), 0);
    }
  static const char *const links[][2] = { { "../secret", "data/out" },
                                          { "data", "alias" },
                                          { "sub", "data/inner" },
                                          { "../secret", "results/l" },
                                          { "../secret", "results/m.partial" } };
  for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
    {
      auto_free char *path = path_in (tree, links[i][1]);
      assert_int_equal (symlink (links[i][0], path), 0);
    }
  *state = tree;
  return 0;
}

static int
remove_tree (void **state)
{
  struct tree *tree = *state;
  assert_int_equal (fs_remove_tree (AT_FDCWD, tree->root, NULL), 0);
  free (tree);
  return 0;
}

static void
folders_are_compared_as_they_are (void **state)
{
  const struct tree *tree = *state;
  static const struct
  {
    const char *source;
    bool good;
  } cases[] = {
    { "data", true },    { "data/sub", true },  { "data/inner", true },
    { "alias", true },   { "data/none", true }, { "data2", false },
    { "secret", false }, { "data/out", false }, { "data/out/x", false },
    { "dat", false },    { "", false },         { "results/r.partial/.shoal/tmp/a", false },
  };
  auto_free char *text =
      xasprintf ("{\"inputs\": [\"%s/data\", \"%s/results\"]}", tree->root, tree->root);
  auto_policy struct policy policy = { 0 };
  read_text (text, &policy);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *source = path_in (tree, cases[i].source);
      int result = policy_check_source (&policy, source, &err);
      if ((result == 0) != cases[i].good)
        fail_msg ("%s: %s", cases[i].source, result == 0 ? "passes" : err.message);
    }
  assert_int_equal (policy_check_source (&policy, "https://host/", NULL), -1);
}

static void
results_stand_below_a_root_and_are_no_links (void **state)
{
  const struct tree *tree = *state;
  static const struct
  {
    const char *place;
    bool good;
  } cases[] = { { "results/r", true },  { "results/new", true }, { "results/deep/x", true },
                { "results", false },   { "results2", false },   { "data/r", false },
                { "results/l", false }, { "results/m", false },  { "results/l/x", false } };
  auto_free char *text = xasprintf ("{\"results\": [\"%s/results\"]}", tree->root);
  auto_policy struct policy policy = { 0 };
  read_text (text, &policy);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_job struct job job;
      start_job (&job);
      free (job.results);
      job.results = path_in (tree, cases[i].place);
      expect (&policy, &job, cases[i].good ? NULL : "results", "results: ");
    }
}

static void
what_was_opened_counts (void **state)
{
  const struct tree *tree = *state;
  auto_free char *text = xasprintf ("{\"results\": [\"%s/data\"]}", tree->root);
  auto_free char *link = path_in (tree, "data/out");
  auto_free char *folder = path_in (tree, "data/sub");
  auto_policy struct policy policy = { 0 };
  read_text (text, &policy);
  auto_fd int inside = open (folder, O_PATH | O_CLOEXEC);
  auto_fd int outside = open (link, O_PATH | O_CLOEXEC);
  assert_int_equal (policy_check_folder (&policy, POLICY_RESULT, inside, NULL), 0);
  assert_int_equal (policy_check_folder (&policy, POLICY_RESULT, outside, NULL), -1);
}

static void
urls_are_compared_part_by_part (void **state)
{
  (void) state;
  static const struct
  {
    const char *rule;
    const char *url;
    bool good;
  } cases[] = {
    { "s3://photos", "s3://photos", true },
    { "s3://photos", "s3://photos/2019/a", true },
    { "s3://photos", "s3://photos2/a", false },
    { "s3://photos/2019", "s3://photos/2019", true },
    { "s3://photos/2019/", "s3://photos/2019/a", true },
    { "s3://photos/2019", "s3://photos/20190/a", false },
    { "s3://photos/2019", "s3://photos/2019/../2020", false },
    { "s3://team-*", "s3://team-a/x", true },
    { "s3://team-*", "s3://other/team-a", false },
    { "s3://", "s3://any", true },
    { "https://host", "https://host/a", true },
    { "https://host", "HTTPS://HOST/a", true },
    { "https://host", "https://host:443/a", true },
    { "https://host", "https://host:8443/a", false },
    { "https://host:8443", "https://host:8443/a", true },
    { "https://host:*", "https://host:1/a", true },
    { "https://host", "http://host/a", false },
    { "https://host", "https://host.evil/a", false },
    { "https://host", "https://user:pw@host/a", true },
    { "https://host", "https://host@evil/a", false },
    { "https://host", "https://evil/host", false },
    { "https://*.example.org", "https://a.example.org/x", true },
    { "https://*.example.org", "https://example.org/x", false },
    { "https://*.example.org", "https://evil.com/.example.org", false },
    { "https://*.example.org", "https://evil.com#.example.org", false },
    { "https://*.example.org", "https://evil.com?.example.org", false },
    { "https://host/data", "https://host/data/x", true },
    { "https://host/data", "https://host/database", false },
    { "https://host/data", "https://host/data/../secret", false },
    { "https://host/data", "https://host/data/%2e%2e/secret", false },
    { "https://host/data", "https://host/data%2f..%2fsecret", false },
    { "https://host/data", "https://host/data\\..\\secret", false },
    { "https://", "https://any:5/", true },
    { "http://[::1]:80", "http://[::1]/", true },
    { "ipfs://", "ipfs://QmX/a", true },
    { "ipfs://QmX", "ipfs://QmY", false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      struct error err = ERROR_INIT;
      if (policy_url_check_rule (cases[i].rule, &err) != 0)
        fail_msg ("%s", err.message);
      if (policy_url_matches (cases[i].rule, cases[i].url) != cases[i].good)
        fail_msg ("%s and %s", cases[i].rule, cases[i].url);
    }
}

/* A list names what it likes. */
static void
links_of_lists_are_asked_for (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  read_text ("{\"inputs\": [\"https://host/data\"]}", &policy);
  const char *base = "https://host/data/list.jsonl";
  assert_int_equal (policy_check_link (&policy, base, "a.jpg", NULL), 0);
  assert_int_equal (policy_check_link (&policy, base, "https://host/data/b.jpg", NULL), 0);
  assert_int_equal (policy_check_link (&policy, base, "../secret", NULL), -1);
  assert_int_equal (policy_check_link (&policy, base, "/secret", NULL), -1);
  assert_int_equal (policy_check_link (&policy, base, "//evil/data/a", NULL), -1);
  assert_int_equal (policy_check_link (&policy, base, "http://169.254.169.254/", NULL), -1);
}

/* ---- the rest --------------------------------------------------------------------------- */

static void
images_by_name_and_digest (void **state)
{
  (void) state;
  static const char digest[] =
      "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  static const char other[] =
      "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  auto_policy struct policy names = { 0 };
  auto_policy struct policy digests = { 0 };
  read_text ("{\"images\": [\"busybox\", \"host:5000/team/*\", \"tagged:1.*\"]}", &names);
  assert_int_equal (policy_check_image (&names, "busybox", other, NULL), 0);
  assert_int_equal (policy_check_image (&names, "busybox:1", other, NULL), 0);
  assert_int_equal (policy_check_image (&names, "busybox2", other, NULL), -1);
  assert_int_equal (policy_check_image (&names, "evil/busybox", other, NULL), -1);
  assert_int_equal (policy_check_image (&names, "host:5000/team/a:5", other, NULL), 0);
  assert_int_equal (policy_check_image (&names, "host:5000/team/a/b", other, NULL), -1);
  assert_int_equal (policy_check_image (&names, "tagged:1.5", other, NULL), 0);
  assert_int_equal (policy_check_image (&names, "tagged:2", other, NULL), -1);
  auto_free char *text = xasprintf ("{\"images\": [\"%s\"]}", digest);
  read_text (text, &digests);
  assert_int_equal (policy_check_image (&digests, "any", NULL, NULL),
                    0); /* not known at the door */
  assert_int_equal (policy_check_image (&digests, "any", digest, NULL), 0);
  assert_int_equal (policy_check_image (&digests, "any", other, NULL), -1);
}

static void
users_by_number (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  auto_job struct job job;
  read_text ("{\"users\": [\"1-4294967294\"]}", &policy);
  start_job (&job);
  expect (&policy, &job, NULL, NULL); /* the image's: the worker knows */
  job.user = xstrdup ("0");
  expect (&policy, &job, "user", "users: user id 0 isn't allowed");
  set (&job.user, "000:5");
  expect (&policy, &job, "user", "users: ");
  set (&job.user, ":5");
  expect (&policy, &job, "user", "users: ");
  set (&job.user, "1000");
  expect (&policy, &job, NULL, NULL);
  set (&job.user, "root"); /* so does it a name */
  expect (&policy, &job, NULL, NULL);
  assert_int_equal (policy_check_user (&policy, 0, NULL), -1);
  assert_int_equal (policy_check_user (&policy, 1, NULL), 0);
}

static void
limits_are_ceilings_and_defaults (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  auto_job struct job job;
  read_text ("{\"limits\": {\"memory\": {\"default\": \"1g\", \"most\": \"2g\"}, \"pids\": 100,"
             " \"timeout\": {\"default\": \"1h\"}, \"retries\": 1, \"log_limit\": \"2g\","
             " \"shards\": 10, \"cpus\": \"1.5\"}}",
             &policy);
  start_job (&job);
  expect (&policy, &job, NULL, NULL);
  policy_apply (&policy, &job);
  assert_int_equal (job.memory, (int64_t) 1 << 30);
  assert_int_equal (job.pids, 100);
  assert_int_equal (job.timeout_ms, 3600000);
  assert_int_equal (job.retries, 1);
  assert_int_equal (job.cpus, 1500);
  assert_int_equal (job.log_limit, JOB_LOG_LIMIT_USUAL); /* less than the ceiling */
  assert_int_equal (job.job_timeout_ms, -1);
  job.memory = ((int64_t) 2 << 30) + 1;
  expect (&policy, &job, "memory", "limits.memory: 2.0 GiB is more than 2.0 GiB");
  job.memory = JOB_MEMORY_MIN;
  job.timeout_ms = 7200000;
  expect (&policy, &job, NULL, NULL);
  job.retries = 5;
  expect (&policy, &job, "retries", "limits.retries: 5 is more than 1");
  job.retries = 0;
  job.cpus = 2000;
  expect (&policy, &job, "cpus", "limits.cpus: 2 is more than 1.5");
  assert_int_equal (policy_check_shards (&policy, 10, NULL), 0);
  assert_int_equal (policy_check_shards (&policy, 11, NULL), -1);
}

static void
queues_credentials_and_webhooks (void **state)
{
  (void) state;
  auto_policy struct policy policy = { 0 };
  auto_job struct job job;
  read_text (
      "{\"queues\": [\"gpu\"], \"credentials\": [\"team\"], \"webhooks\": [\"https://h/x\"]}",
      &policy);
  start_job (&job);
  expect (&policy, &job, "queue", "queues: default isn't allowed");
  set (&job.queue, "gpu");
  expect (&policy, &job, NULL, NULL);
  job.credentials = xstrdup ("other");
  expect (&policy, &job, "credentials", "credentials: other isn't allowed");
  set (&job.credentials, "team");
  job.webhook = xstrdup ("http://h/x");
  expect (&policy, &job, "webhook", "webhooks: http://h/x isn't allowed");
  set (&job.webhook, "https://h/x/y?token=1");
  expect (&policy, &job, NULL, NULL);
  set (&job.webhook, "https://h/y?token=secret");
  const char *field = NULL;
  struct error err = ERROR_INIT;
  assert_int_equal (policy_check_ends (&policy, &job, &field, &err), -1);
  assert_string_equal (field, "webhook");
  assert_null (strstr (err.message, "secret"));
}

int
main (void)
{
#define IN_TREE(name) cmocka_unit_test_setup_teardown (name, make_tree, remove_tree)
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_is_wrong_is_named_with_its_line),
    cmocka_unit_test (its_text_reads_back),
    cmocka_unit_test (order_makes_no_difference),
    cmocka_unit_test (defaults_are_safe),
    cmocka_unit_test (devices_are_named_by_patterns),
    cmocka_unit_test (none_refuses_nothing),
    IN_TREE (folders_are_compared_as_they_are),
    IN_TREE (results_stand_below_a_root_and_are_no_links),
    IN_TREE (what_was_opened_counts),
    cmocka_unit_test (urls_are_compared_part_by_part),
    cmocka_unit_test (links_of_lists_are_asked_for),
    cmocka_unit_test (images_by_name_and_digest),
    cmocka_unit_test (users_by_number),
    cmocka_unit_test (limits_are_ceilings_and_defaults),
    cmocka_unit_test (queues_credentials_and_webhooks),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
