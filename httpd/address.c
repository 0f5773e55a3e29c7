#include "httpd/address.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum
{
  BACKLOG = 1024, /* those who come at once wait here, not for another try a second later */
  SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
};

#define UNIX_PREFIX "unix:"
#define LOOPBACK "127.0.0.1"

/* ---- unix:PATH -------------------------------------------------------------------------- */

/* Whether a server listens at PLACE, or that can't be told: a socket file outlives its server. */
static bool
socket_is_served (const struct sockaddr_un *local)
{
  auto_fd int fd = socket (AF_UNIX, SOCKET_FLAGS, 0);
  return fd < 0 || connect (fd, (const struct sockaddr *) local, sizeof *local) == 0
         || errno != ECONNREFUSED;
}

static const char *
address_kind_of (mode_t mode)
{
  return S_ISDIR (mode)    ? "a folder"
         : S_ISLNK (mode)  ? "a symbolic link"
         : S_ISREG (mode)  ? "a file"
         : S_ISFIFO (mode) ? "a pipe"
                           : "a device";
}

/* Removes what has the path of PLACE, when it is a socket that a killed server of ours left. */
static int
remove_left_over (const struct sockaddr_un *local, struct error *err)
{
  const char *path = local->sun_path;
  struct stat there;
  if (lstat (path, &there) != 0)
    return errno == ENOENT ? 0 : error_errno (err, errno, "%s", path);
  if (!S_ISSOCK (there.st_mode))
    return error_set (err, ERROR_USER, "%s is %s, not a socket: remove it, or choose another path",
                      path, address_kind_of (there.st_mode));
  if (there.st_uid != geteuid ())
    return error_set (err, ERROR_USER, "%s is a socket of another user (%u): choose another path",
                      path, (unsigned int) there.st_uid);
  if (socket_is_served (local))
    return error_set (err, ERROR_USER, "%s: %s", path, strerror (EADDRINUSE));
  return unlink (path) == 0 || errno == ENOENT ? 0 : error_errno (err, errno, "%s", path);
}

static int
bind_unix (int fd, const struct sockaddr_un *local, struct error *err)
{
  int bound = bind (fd, (const struct sockaddr *) local, sizeof *local);
  if (bound != 0 && errno == EADDRINUSE)
    {
      if (remove_left_over (local, err) != 0)
        return -1;
      bound = bind (fd, (const struct sockaddr *) local, sizeof *local);
    }
  if (bound == 0 && listen (fd, BACKLOG) == 0)
    return 0;
  return error_set (err, ERROR_USER, "%s: %s", local->sun_path, strerror (errno));
}

static int
listen_unix (const char *path, struct address *at, struct error *err)
{
  struct sockaddr_un local = { .sun_family = AF_UNIX };
  struct stat made;
  if (path[0] == '\0' || strlen (path) >= sizeof local.sun_path)
    return error_set (err, ERROR_USER, "a socket path has 1 to %zu bytes",
                      sizeof local.sun_path - 1);
  memcpy (local.sun_path, path, strlen (path));
  auto_fd int fd = socket (AF_UNIX, SOCKET_FLAGS, 0);
  if (fd < 0)
    return error_errno (err, errno, "socket");
  if (bind_unix (fd, &local, err) != 0)
    return -1;
  at->name = xasprintf (UNIX_PREFIX "%s", path);
  if (lstat (path, &made) == 0)
    {
      at->device = made.st_dev;
      at->inode = made.st_ino;
    }
  return take_fd (&fd);
}

void
address_forget (struct address *address)
{
  const char *path = address->inode == 0 ? NULL : address->name + strlen (UNIX_PREFIX);
  struct stat there;
  if (path != NULL && lstat (path, &there) == 0 && S_ISSOCK (there.st_mode)
      && there.st_dev == address->device && there.st_ino == address->inode)
    (void) unlink (path);
  free (address->name);
  *address = (struct address){ 0 };
}

/* ---- HOST:PORT -------------------------------------------------------------------------- */

/* "HOST:PORT", "[HOST]:PORT", ":PORT" in two; the caller frees both. */
static int
split (const char *address, char **host, char **port, struct error *err)
{
  const char *colon = strrchr (address, ':');
  if (colon == NULL || colon[1] == '\0' || strspn (colon + 1, "0123456789") != strlen (colon + 1)
      || strlen (colon + 1) > 5 || atol (colon + 1) > UINT16_MAX)
    return error_set (err, ERROR_USER,
                      "\"%s\": expected :PORT, HOST:PORT, [HOST]:PORT or unix:PATH", address);
  size_t length = (size_t) (colon - address);
  bool bracketed = length >= 2 && address[0] == '[' && colon[-1] == ']';
  *host = length == 0 ? xstrdup (LOOPBACK)
          : bracketed ? xstrndup (address + 1, length - 2)
                      : xstrndup (address, length);
  *port = xstrdup (colon + 1);
  return 0;
}

static char *
address_name_of (int fd)
{
  struct sockaddr_storage local;
  socklen_t size = sizeof local;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getsockname (fd, (struct sockaddr *) &local, &size) != 0
      || getnameinfo ((struct sockaddr *) &local, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV)
             != 0)
    return xstrdup ("?");
  return xasprintf (local.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* A listening socket at AT, or -1 with errno. */
static int
listen_at (const struct addrinfo *at)
{
  auto_fd int fd = socket (at->ai_family, SOCKET_FLAGS, 0);
  const int on = 1;
  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
      || bind (fd, at->ai_addr, at->ai_addrlen) != 0 || listen (fd, BACKLOG) != 0)
    return -1;
  return take_fd (&fd);
}

int
address_listen (const char *text, struct address *address, struct error *err)
{
  if (strncmp (text, UNIX_PREFIX, strlen (UNIX_PREFIX)) == 0)
    return listen_unix (text + strlen (UNIX_PREFIX), address, err);
  auto_free char *host = NULL;
  auto_free char *port = NULL;
  if (split (text, &host, &port, err) != 0)
    return -1;
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
  struct addrinfo *found = NULL;
  int failure = getaddrinfo (host, port, &hints, &found);
  if (failure != 0)
    return error_set (err, ERROR_USER, "%s: %s", host, gai_strerror (failure));
  int fd = -1;
  int code = 0;
  for (const struct addrinfo *one = found; one != NULL && fd < 0; one = one->ai_next)
    {
      fd = listen_at (one);
      code = errno;
    }
  freeaddrinfo (found);
  if (fd < 0)
    return error_set (err, ERROR_USER, "%s: %s", text, strerror (code));
  address->name = address_name_of (fd);
  return fd;
}
