#include "storage/ipfs/ipfs.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/variable.h"

#include <fcntl.h>
#include <string.h>

enum
{
  API_FILE_MAX = 1024,
};

/* ---- opening ---------------------------------------------------------------------------- */

static void
ipfs_close (struct storage *storage)
{
  struct ipfs *ipfs = (struct ipfs *) storage;
  free (ipfs->path);
  free (ipfs->shown);
  free (ipfs->api);
  free (ipfs->gateway);
  free (ipfs);
}

static const struct storage_ops ops = {
  .kind = STORAGE_IPFS, .list = ipfs_list, .close = ipfs_close, .fetch = ipfs_fetch
};

/* "/ip4/127.0.0.1/tcp/5001" as a URL; NULL when it is something else. */
static char *
from_multiaddr (const char *text)
{
  char host[256] = "";
  int port = 0;
  if (sscanf (text, "/ip4/%255[0-9.]/tcp/%d", host, &port) == 2
      || sscanf (text, "/dns/%255[^/]/tcp/%d", host, &port) == 2
      || sscanf (text, "/dns4/%255[^/]/tcp/%d", host, &port) == 2)
    return xasprintf ("http://%s:%d", host, port);
  return NULL;
}

/* The RPC of the node that runs on this machine, as its repository says. */
static char *
local_api (void)
{
  const char *repository = variable_get ("IPFS_PATH");
  const char *home = variable_get ("HOME");
  auto_free char *path = repository != NULL ? xasprintf ("%s/api", repository)
                         : home != NULL     ? xasprintf ("%s/.ipfs/api", home)
                                            : NULL;
  auto_buffer struct buffer text = { 0 };
  if (path == NULL || fs_read_file (AT_FDCWD, path, API_FILE_MAX, &text, NULL) != 0)
    return NULL;
  return from_multiaddr (text.data);
}

/* The URL that NAME has, without slashes behind it. */
static int
read_url (const char *name, char **url, struct error *err)
{
  const char *value = variable_get (name);
  if (value == NULL)
    return 0;
  char *text = value[0] == '/' ? from_multiaddr (value) : xstrdup (value);
  size_t size = text == NULL ? 0 : strlen (text);
  while (size > 0 && text[size - 1] == '/')
    text[--size] = '\0';
  *url = text;
  if (size > 0 && (strncmp (text, "http://", 7) == 0 || strncmp (text, "https://", 8) == 0))
    return 0;
  return error_set (err, ERROR_USER, "%s: invalid URL, expected http://HOST:PORT", name);
}

static int
find_node (struct ipfs *ipfs, struct error *err)
{
  if (read_url ("SHOAL_IPFS_API", &ipfs->api, err) != 0
      || read_url ("SHOAL_IPFS_GATEWAY", &ipfs->gateway, err) != 0)
    return -1;
  if (ipfs->api == NULL && ipfs->gateway == NULL)
    ipfs->api = local_api ();
  if (ipfs->api != NULL || ipfs->gateway != NULL)
    return 0;
  return error_set (
      err, ERROR_USER,
      "no IPFS node is known: --ipfs-api (SHOAL_IPFS_API) is the URL of a node's RPC, "
      "--ipfs-gateway (SHOAL_IPFS_GATEWAY) that of a gateway");
}

/* What SOURCE has behind "ipfs://", or "/ipfs/" as nodes and gateways write it. */
static const char *
ipfs_bare (const char *source)
{
  static const char *const before[] = { "ipfs://", "/ipfs/" };
  for (size_t i = 0; i < sizeof before / sizeof *before; i++)
    if (strncmp (source, before[i], strlen (before[i])) == 0)
      return source + strlen (before[i]);
  return source;
}

bool
storage_is_cid (const char *source)
{
  struct cid cid;
  const char *text = ipfs_bare (source);
  return cid_parse (&cid, text, strcspn (text, "/"));
}

struct storage *
storage_open_ipfs (const char *source, struct error *err)
{
  const char *text = ipfs_bare (source);
  size_t size = strcspn (text, "/");
  struct ipfs *ipfs = xcalloc (1, sizeof *ipfs);
  ipfs->base.ops = &ops;
  bool good = cid_parse (&ipfs->root, text, size);
  const char *path = text + size + strspn (text + size, "/");
  ipfs->path = xstrdup (path);
  for (size_t end = strlen (path); end > 0 && path[end - 1] == '/'; end--)
    ipfs->path[end - 1] = '\0';
  ipfs->shown = xasprintf ("ipfs://%s", text);
  if (!good)
    (void) error_set (err, ERROR_USER, "%s: '%.*s' is not a CID", source, (int) size, text);
  else if (find_node (ipfs, err) == 0)
    return &ipfs->base;
  else
    (void) error_wrap (err, "%s", source);
  ipfs_close (&ipfs->base);
  return NULL;
}
