/* The agent of a pod as a worker sees it: a real one, the first process of a PID namespace of its
 * own. This program is also what it runs, see main. */
#include "common/auto.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "tests/lib/seed.h"
#include "worker/pod_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  PATIENCE_MS = 30000,
  STEP_MS = 5,
  DESCRIPTORS = 32, /* that the agent may have: what it leaks it hasn't any more */
  GARBAGE_ROUNDS = 400,
  KILLS = 30,
};

struct scene
{
  char folder[32];
  char *socket;
  char *out; /* what the last command printed */
  pid_t outer;
};

/* ---- the agent -------------------------------------------------------------------------- */

/* The process between dies with us, and the namespace with its first process. */
static void
scene_be_agent (const struct scene *scene, bool as_first)
{
  const struct rlimit few = { DESCRIPTORS, DESCRIPTORS };
  int status = 0;
  if (as_first && unshare (CLONE_NEWPID | (geteuid () != 0 ? CLONE_NEWUSER : 0)) != 0)
    _exit (111);
  pid_t inner = fork ();
  if (inner == 0)
    {
      (void) prctl (PR_SET_PDEATHSIG, SIGKILL);
      (void) setrlimit (RLIMIT_NOFILE, &few);
      (void) setenv ("OF_IMAGE", "image", 1);
      (void) setenv ("OF_BOTH", "image", 1);
      (void) execl (AGENT_PROGRAM, "agent", "serve", scene->socket, "--", "entry", "point",
                    (char *) NULL);
      _exit (112);
    }
  (void) signal (SIGTERM, SIG_IGN);
  while (waitpid (inner, &status, 0) < 0)
    ;
  _exit (WIFEXITED (status) ? WEXITSTATUS (status) : 113);
}

static void
scene_start (struct scene *scene)
{
  (void) fflush (NULL);
  scene->outer = fork ();
  assert_true (scene->outer >= 0);
  if (scene->outer == 0)
    {
      if (spawn_die_with_parent (getppid (), NULL) == 0)
        scene_be_agent (scene, true);
      _exit (114);
    }
  int64_t until = clock_boot_ms () + PATIENCE_MS;
  struct agent_answer me;
  int link = -1;
  while ((link = pod_link_open (scene->socket, &me, NULL)) < 0 && clock_boot_ms () < until)
    (void) poll (NULL, 0, STEP_MS);
  assert_true (link >= 0);
  (void) close (link);
}

/* The agent itself, as this machine sees it: the only child of the process between. */
static pid_t
scene_agent (const struct scene *scene)
{
  auto_free char *path =
      xasprintf ("/proc/%d/task/%d/children", (int) scene->outer, (int) scene->outer);
  auto_buffer struct buffer text = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, path, 4096, &text, NULL), 0);
  return (pid_t) strtol (text.data, NULL, 10);
}

/* Its exit code. */
static int
scene_end (struct scene *scene, int number)
{
  int status = 0;
  pid_t agent = scene_agent (scene);
  if (agent > 0)
    (void) kill (agent, number);
  while (waitpid (scene->outer, &status, 0) < 0)
    assert_int_equal (errno, EINTR);
  scene->outer = 0;
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

static int
scene_set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  strcpy (scene->folder, "/tmp/shoal-agent-XXXXXX");
  assert_non_null (mkdtemp (scene->folder));
  scene->socket = xasprintf ("%s/agent.sock", scene->folder);
  scene_start (scene);
  *state = scene;
  return 0;
}

static int
scene_tear_down (void **state)
{
  struct scene *scene = *state;
  if (scene->outer > 0)
    (void) scene_end (scene, SIGKILL);
  (void) fs_remove_tree (AT_FDCWD, scene->folder, NULL);
  free (scene->socket);
  free (scene->out);
  free (scene);
  return 0;
}

static int
scene_connect (const struct scene *scene, struct agent_answer *me)
{
  struct error err = ERROR_INIT;
  int link = pod_link_open (scene->socket, me, &err);
  if (link < 0)
    fail_msg ("%s", err.message);
  return link;
}

/* ---- commands --------------------------------------------------------------------------- */

static struct strlist
words_of (const char *first, const char *second, const char *third)
{
  struct strlist words = { 0 };
  const char *const all[] = { first, second, third };
  for (size_t i = 0; i < 3 && all[i] != NULL; i++)
    strlist_add (&words, all[i]);
  return words;
}

static int
scene_start_command (struct scene *scene, int link, const struct strlist *argv,
                     const struct strlist *env, const char *workdir, bool no_network)
{
  auto_free char *path = xasprintf ("%s/out", scene->folder);
  auto_fd int out = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const struct pod_command command = { .argv = argv,
                                       .env = env,
                                       .workdir = workdir,
                                       .no_network = no_network,
                                       .stdout_fd = out,
                                       .stderr_fd = out };
  struct error err = ERROR_INIT;
  return pod_link_run (link, &command, &err);
}

static void
scene_read_out (struct scene *scene)
{
  auto_free char *path = xasprintf ("%s/out", scene->folder);
  auto_buffer struct buffer text = { 0 };
  buffer_puts (&text, "");
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1 << 20, &text, NULL), 0);
  free (scene->out);
  scene->out = xstrdup (text.data);
}

/* Runs it to its end. */
static void
scene_run (struct scene *scene, const struct strlist *argv, const char *workdir, bool no_network,
           struct agent_answer *end)
{
  struct agent_answer me;
  auto_strlist struct strlist env = words_of ("OF_BOTH=job", "OF_JOB=a b", NULL);
  auto_fd int link = scene_connect (scene, &me);
  assert_int_equal (scene_start_command (scene, link, argv, &env, workdir, no_network), 0);
  struct pollfd wait = { .fd = link, .events = POLLIN };
  assert_int_equal (poll (&wait, 1, PATIENCE_MS), 1);
  struct error err = ERROR_INIT;
  int got = pod_link_end (link, end, &err);
  if (got != 1)
    fail_msg ("no end of it: %s", err.message);
  scene_read_out (scene);
}

static void
scene_shell (struct scene *scene, const char *script, struct agent_answer *end)
{
  auto_strlist struct strlist argv = words_of ("sh", "-c", script);
  scene_run (scene, &argv, NULL, false, end);
}

static bool
somebody_runs (const char *text)
{
  auto_dir DIR *dir = opendir ("/proc");
  bool found = false;
  for (const struct dirent *entry = readdir (dir); entry != NULL && !found; entry = readdir (dir))
    {
      auto_free char *path = xasprintf ("/proc/%s/cmdline", entry->d_name);
      auto_buffer struct buffer line = { 0 };
      if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9'
          && fs_read_file (AT_FDCWD, path, 1 << 20, &line, NULL) == 0 && line.size > 0)
        found = memmem (line.data, line.size, text, strlen (text)) != NULL;
    }
  return found;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void
it_says_who_it_is (void **state)
{
  struct scene *scene = *state;
  struct agent_answer first;
  struct agent_answer again;
  struct agent_answer after;
  (void) close (scene_connect (scene, &first));
  (void) close (scene_connect (scene, &again));
  assert_int_equal (scene_end (scene, SIGTERM), 0);
  scene_start (scene);
  (void) close (scene_connect (scene, &after));
  assert_true (first.instance == again.instance);
  assert_true (first.instance != after.instance);
  assert_int_equal (first.knows_entrypoint, 1);
  assert_int_equal (first.words, 2);
  assert_memory_equal (first.text, "entry\0point", sizeof "entry\0point");
  if (geteuid () == 0)
    assert_int_equal (first.uid, 0);
}

static void
commands_run_as_they_are_given (void **state)
{
  struct scene *scene = *state;
  struct agent_answer end;
  scene_shell (scene, "echo \"$OF_IMAGE $OF_BOTH $OF_JOB\"; umask; cat; exit 7", &end);
  assert_int_equal (end.step, AGENT_STEP_NONE);
  assert_int_equal (WEXITSTATUS (end.status), 7);
  assert_string_equal (scene->out, "image job a b\n0022\n");
  scene_shell (scene, "kill -9 $$", &end);
  assert_int_equal (WTERMSIG (end.status), SIGKILL);
  auto_strlist struct strlist missing = words_of ("no-such-program", NULL, NULL);
  scene_run (scene, &missing, NULL, false, &end);
  assert_int_equal (end.step, AGENT_STEP_EXEC);
  assert_int_equal (end.code, ENOENT);
  auto_strlist struct strlist pwd = words_of ("pwd", NULL, NULL);
  scene_run (scene, &pwd, "/usr", false, &end);
  assert_string_equal (scene->out, "/usr\n");
  scene_run (scene, &pwd, "/no/such/folder", false, &end);
  assert_int_equal (end.step, AGENT_STEP_FOLDER);
  assert_int_equal (end.code, ENOENT);
}

static void
nothing_of_a_command_is_left (void **state)
{
  struct scene *scene = *state;
  struct agent_answer end;
  scene_shell (
      scene, "(setsid sleep 98765.75 &); (setsid sh -c 'trap \"\" TERM; sleep 98765.75' &); exit 3",
      &end);
  assert_int_equal (WEXITSTATUS (end.status), 3);
  assert_false (somebody_runs ("98765.75"));
}

static void
signals_reach_the_command (void **state)
{
  struct scene *scene = *state;
  struct agent_answer me;
  struct agent_answer end;
  auto_strlist struct strlist env = { 0 };
  auto_strlist struct strlist argv =
      words_of ("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
  auto_fd int link = scene_connect (scene, &me);
  assert_int_equal (scene_start_command (scene, link, &argv, &env, NULL, false), 0);
  for (int64_t until = clock_boot_ms () + PATIENCE_MS; clock_boot_ms () < until;)
    {
      scene_read_out (scene);
      if (strcmp (scene->out, "ready\n") == 0)
        break;
      (void) poll (NULL, 0, STEP_MS);
    }
  pod_link_signal (link, SIGTERM);
  struct pollfd wait = { .fd = link, .events = POLLIN };
  assert_int_equal (poll (&wait, 1, PATIENCE_MS), 1);
  assert_int_equal (pod_link_end (link, &end, NULL), 1);
  assert_int_equal (WEXITSTATUS (end.status), 5);
}

static void
without_a_network_there_are_only_local_sockets (void **state)
{
  struct scene *scene = *state;
  struct agent_answer end;
  auto_free char *self = spawn_self (NULL);
  auto_strlist struct strlist argv = words_of (self, "sockets", NULL);
  scene_run (scene, &argv, NULL, true, &end);
  assert_string_equal (scene->out, "unix yes inet no inet6 no netlink no\n");
  scene_run (scene, &argv, NULL, false, &end);
  assert_string_equal (scene->out, "unix yes inet yes inet6 yes netlink yes\n");
}

enum
{
  IN_HEARD = 2,
  IN_HUNG_UP,
  IN_FAILED,
  IN_KILLED,
};

/* What becomes of a process that joins the namespace SPACE and asks there. */
static int
ask_from_inside (const struct scene *scene, int space)
{
  int status = 0;
  (void) fflush (NULL);
  pid_t outer = fork ();
  if (outer == 0)
    {
      struct agent_answer me;
      struct error err = ERROR_INIT;
      pid_t inner = setns (space, CLONE_NEWPID) == 0 ? fork () : -1;
      if (inner == 0 && pod_link_open (scene->socket, &me, &err) >= 0)
        _exit (IN_HEARD);
      if (inner == 0)
        _exit (strstr (err.message, "the agent hung up") != NULL ? IN_HUNG_UP : IN_FAILED);
      if (waitpid (inner, &status, 0) != inner)
        _exit (IN_FAILED);
      _exit (WIFEXITED (status) ? WEXITSTATUS (status) : IN_KILLED);
    }
  assert_int_equal (waitpid (outer, &status, 0), outer);
  return WEXITSTATUS (status);
}

/* Whoever is in the agent's own container has its user and reaches its socket, and isn't heard. */
static void
only_other_containers_give_orders (void **state)
{
  const struct scene *scene = *state;
  if (geteuid () != 0)
    {
      print_message ("SKIPPED: only root gets into the agent's namespace\n");
      return;
    }
  auto_free char *path = xasprintf ("/proc/%d/ns/pid", (int) scene_agent (scene));
  auto_fd int space = open (path, O_RDONLY | O_CLOEXEC);
  assert_true (space >= 0);
  int how = IN_KILLED;
  /* The end of the set-up's connection still ends whoever is there. */
  for (int i = 0; i < 100 && how == IN_KILLED; i++)
    how = ask_from_inside (scene, space);
  assert_int_equal (how, IN_HUNG_UP);
}

/* Commands have the agent's user, and its folder. */
static void
whatever_a_command_does_to_the_socket_workers_come_in (void **state)
{
  struct scene *scene = *state;
  static const char *const scripts[] = {
    "rm $s",
    "chmod 0 $s",
    "rm $s; mkdir $s",
    "rm $s; mkdir $s; echo x >$s/file; chmod 0 $s",
    "rm $s; ln -s /nowhere $s",
    "mkdir $s.new; echo x >$s.new/file; rm $s",
    "mkdir -p $s.new/sub; chmod 0 $s",
    "mv $s $s.new; mkdir -p $s/sub",
  };
  struct agent_answer first;
  struct agent_answer end;
  (void) close (scene_connect (scene, &first));
  for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
    {
      auto_free char *script = xasprintf ("s=%s; %s", scene->socket, scripts[i]);
      scene_shell (scene, script, &end);
      assert_int_equal (end.status, 0);
      scene_shell (scene, "echo again", &end);
      assert_string_equal (scene->out, "again\n");
      struct stat status;
      assert_int_equal (lstat (scene->socket, &status), 0);
      assert_int_equal (status.st_mode, S_IFSOCK | 0600);
    }
  struct agent_answer last;
  (void) close (scene_connect (scene, &last));
  assert_true (first.instance == last.instance);
}

/* A container that is started again finds what was left. */
static void
a_folder_in_its_way_keeps_no_agent_from_starting (void **state)
{
  struct scene *scene = *state;
  (void) scene_end (scene, SIGKILL);
  assert_int_equal (unlink (scene->socket), 0);
  auto_free char *inner = xasprintf ("%s/sub", scene->socket);
  auto_free char *other = xasprintf ("%s.new/sub", scene->socket);
  assert_int_equal (fs_make_path (inner, 0755, NULL), 0);
  assert_int_equal (fs_make_path (other, 0755, NULL), 0);
  scene_start (scene);
}

static void
it_ends_when_told_to_and_not_before_its_worker (void **state)
{
  struct scene *scene = *state;
  struct agent_answer me;
  struct agent_answer end;
  scene_shell (scene, "kill -TERM 1; kill -KILL 1; kill -INT 1; echo done", &end);
  assert_string_equal (scene->out, "done\n");
  int link = scene_connect (scene, &me);
  (void) kill (scene_agent (scene), SIGTERM);
  struct agent_answer seen;
  assert_int_equal (pod_link_look (link, "/", &seen, NULL), 0);
  (void) close (link);
  int status = -1;
  while (waitpid (scene->outer, &status, 0) < 0)
    assert_int_equal (errno, EINTR);
  scene->outer = 0;
  assert_int_equal (status, 0);
}

static void
it_serves_as_the_first_process_only (void **state)
{
  const struct scene *scene = *state;
  (void) fflush (NULL);
  pid_t pid = fork ();
  if (pid == 0)
    scene_be_agent (scene, false);
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFEXITED (status));
  assert_int_equal (WEXITSTATUS (status), AGENT_EXIT_UNFIT);
}

/* ---- what isn't asked properly ---------------------------------------------------------- */

static int
raw_connect (const struct scene *scene)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const struct timeval patience = { .tv_sec = 20 };
  strcpy (address.sun_path, scene->socket);
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  assert_int_equal (setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  assert_int_equal (connect (fd, (const struct sockaddr *) &address, sizeof address), 0);
  return fd;
}

static void
raw_send (int fd, const void *bytes, size_t size, const int *fds, size_t count)
{
  char control[CMSG_SPACE (8 * sizeof (int))] = { 0 };
  struct iovec place = { (void *) (uintptr_t) bytes, size };
  struct msghdr message = { .msg_iov = &place, .msg_iovlen = 1 };
  if (count > 0)
    {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE (count * sizeof (int));
      struct cmsghdr *part = CMSG_FIRSTHDR (&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN (count * sizeof (int));
      memcpy (CMSG_DATA (part), fds, count * sizeof (int));
    }
  (void) sendmsg (fd, &message, MSG_NOSIGNAL);
}

/* Requests that are nearly right, and what is none at all, with any descriptors. */
static void
garbage_is_refused (void **state)
{
  struct scene *scene = *state;
  uint64_t seed = random_state (seed_of_test ());
  auto_fd int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  const int fds[8] = { null, null, null, null, null, null, null, null };
  for (int round = 0; round < GARBAGE_ROUNDS; round++)
    {
      static unsigned char bytes[3 * sizeof (struct agent_request)];
      struct agent_request request = { .magic = AGENT_MAGIC, .version = AGENT_VERSION };
      size_t size = random_next (&seed) % sizeof bytes;
      for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char) random_next (&seed);
      if (random_next (&seed) % 2 == 0)
        {
          size = sizeof request;
          memcpy (&request.kind, bytes, sizeof request - offsetof (struct agent_request, kind));
          request.kind = (uint32_t) (random_next (&seed) % 8);
          request.argc = (uint32_t) (random_next (&seed) % 3);
          request.envc = (uint32_t) (random_next (&seed) % 3);
          request.probe = 0;
          memcpy (bytes, &request, sizeof request);
        }
      auto_fd int fd = raw_connect (scene);
      raw_send (fd, bytes, size, fds, random_next (&seed) % 8);
    }
  struct agent_answer end;
  scene_shell (scene, "echo alive", &end);
  assert_string_equal (scene->out, "alive\n");
}

/* What a RUN with WORDS is answered. */
static void
raw_run (const struct scene *scene, const char *words, size_t size, uint32_t argc, uint32_t envc,
         struct agent_answer *answer)
{
  struct agent_request request = {
    .magic = AGENT_MAGIC, .version = AGENT_VERSION, .kind = AGENT_RUN, .argc = argc, .envc = envc
  };
  auto_fd int file = memfd_create ("words", MFD_CLOEXEC);
  auto_fd int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  auto_fd int fd = raw_connect (scene);
  if (words != NULL)
    assert_int_equal (write (file, words, size), size);
  else
    assert_int_equal (ftruncate (file, (off_t) size), 0);
  raw_send (fd, &request, sizeof request, (int[]){ file, null, null }, 3);
  assert_int_equal (recv (fd, answer, sizeof *answer, 0), sizeof *answer);
}

static void
words_are_those_that_are_said (void **state)
{
  const struct scene *scene = *state;
  static const struct
  {
    const char *words;
    size_t size;
    uint32_t argc;
    uint32_t envc;
    const char *why;
  } cases[] = {
    { "true", 5, 0, 0, "no words, or too many" },
    { "true", 5, AGENT_COUNT_MAX + 1, 0, "no words, or too many" },
    { "true", 5, 1, UINT32_MAX, "no words, or too many" },
    { "true", 5, 2, 0, "fewer words than said" },
    { "true", 5, 1, 1, "fewer words than said" },
    { "true\0x", 7, 1, 0, "other words than said" },
    { NULL, AGENT_WORDS_MAX + 1, 1, 0, "its words can't be read, or are too long" },
    { "", 0, 1, 0, "its words can't be read, or are too long" },
  };
  struct agent_answer answer;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      raw_run (scene, cases[i].words, cases[i].size, cases[i].argc, cases[i].envc, &answer);
      assert_int_equal (answer.kind, AGENT_REFUSED);
      assert_string_equal (answer.text, cases[i].why);
    }
  raw_run (scene, "true", 5, 1, 0, &answer);
  assert_int_equal (answer.kind, AGENT_RUN);
  assert_int_equal (answer.status, 0);
}

static void
one_command_at_a_time (void **state)
{
  struct scene *scene = *state;
  struct agent_answer me;
  struct agent_answer end;
  struct error err = ERROR_INIT;
  auto_strlist struct strlist env = { 0 };
  auto_strlist struct strlist argv = words_of ("sleep", "98765.625", NULL);
  auto_fd int link = scene_connect (scene, &me);
  assert_int_equal (scene_start_command (scene, link, &argv, &env, NULL, false), 0);
  assert_int_equal (scene_start_command (scene, link, &argv, &env, NULL, false), 0);
  assert_int_equal (pod_link_end (link, &end, &err), -1);
  assert_non_null (strstr (err.message, "a command runs already"));
  /* The connection ends, and the command with it. */
  scene_shell (scene, "true", &end);
  assert_false (somebody_runs ("98765.625"));
}

/* Workers that are killed at any moment. */
static void
a_killed_worker_leaves_nothing (void **state)
{
  struct scene *scene = *state;
  uint64_t seed = random_state (seed_of_test ());
  struct agent_answer end;
  for (int i = 0; i < KILLS; i++)
    {
      (void) fflush (NULL);
      pid_t pid = fork ();
      if (pid == 0)
        {
          struct agent_answer me;
          struct strlist env = { 0 };
          struct strlist argv =
              words_of ("sh", "-c", "(setsid sleep 98765.125 &); sleep 98765.125");
          int link = pod_link_open (scene->socket, &me, NULL);
          (void) scene_start_command (scene, link, &argv, &env, NULL, false);
          (void) pause ();
        }
      (void) usleep ((useconds_t) (random_next (&seed) % 10000));
      (void) kill (pid, SIGKILL);
      assert_int_equal (waitpid (pid, NULL, 0), pid);
      scene_shell (scene, "echo next", &end);
      assert_string_equal (scene->out, "next\n");
      assert_false (somebody_runs ("98765.125"));
    }
}

/* ---- what the agent runs ---------------------------------------------------------------- */

static int
be_sockets (void)
{
  static const struct
  {
    const char *name;
    int family;
    int type;
  } sockets[] = { { "unix", AF_UNIX, SOCK_STREAM },
                  { " inet", AF_INET, SOCK_STREAM },
                  { " inet6", AF_INET6, SOCK_DGRAM },
                  { " netlink", AF_NETLINK, SOCK_RAW } };
  for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++)
    {
      int fd = socket (sockets[i].family, sockets[i].type | SOCK_CLOEXEC, 0);
      (void) printf ("%s %s", sockets[i].name, fd >= 0 ? "yes" : "no");
      if (fd >= 0)
        (void) close (fd);
    }
  (void) puts ("");
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "sockets") == 0)
    return be_sockets ();
#define TEST(name) cmocka_unit_test_setup_teardown (name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
    TEST (it_says_who_it_is),
    TEST (commands_run_as_they_are_given),
    TEST (nothing_of_a_command_is_left),
    TEST (signals_reach_the_command),
    TEST (without_a_network_there_are_only_local_sockets),
    TEST (only_other_containers_give_orders),
    TEST (whatever_a_command_does_to_the_socket_workers_come_in),
    TEST (a_folder_in_its_way_keeps_no_agent_from_starting),
    TEST (it_ends_when_told_to_and_not_before_its_worker),
    TEST (it_serves_as_the_first_process_only),
    TEST (garbage_is_refused),
    TEST (words_are_those_that_are_said),
    TEST (one_command_at_a_time),
    TEST (a_killed_worker_leaves_nothing),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
