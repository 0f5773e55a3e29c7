#include "tests/lib/ipfs_node.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

char *
ipfs_node_add (const char *folder, const char *options)
{
  struct error err = ERROR_INIT;
  auto_buffer struct buffer cid = { 0 };
  auto_strlist struct strlist argv = { 0 };
  auto_free char *words = xstrdup (options);
  char *rest = words;
  strlist_add (&argv, "/usr/bin/python3");
  strlist_add (&argv, "lib/ipfs_add.py"); /* tests run in tests/ */
  strlist_add (&argv, peer_server ("SHOAL_TEST_IPFS_API"));
  strlist_add (&argv, folder);
  for (char *word = strsep (&rest, " "); word != NULL; word = strsep (&rest, " "))
    strlist_add (&argv, word);
  if (spawn_run (strlist_argv (&argv), &cid, &err) != 0)
    fail_msg ("%s", err.message);
  cid.data[strcspn (cid.data, "\n")] = '\0';
  return xasprintf ("ipfs://%s", cid.data);
}

void
ipfs_node_choose (bool gateway)
{
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) unsetenv ("SHOAL_IPFS_GATEWAY");
  if (gateway)
    (void) setenv ("SHOAL_IPFS_GATEWAY", peer_server ("SHOAL_TEST_IPFS_GATEWAY"), 1);
  else
    (void) setenv ("SHOAL_IPFS_API", peer_server ("SHOAL_TEST_IPFS_API"), 1);
}
