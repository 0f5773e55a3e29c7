/* auto.h — ownership by scope: what is declared `auto_…` is released where its block ends.
 *
 * Each type with a destructor declares its own `auto_TYPE` beside itself; the ones for the C
 * library's types are here. Ownership leaves a scope by name: `return take (&shard);`.
 */
#ifndef SHOAL_COMMON_AUTO_H
#define SHOAL_COMMON_AUTO_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(release) __attribute__ ((cleanup (release), unused))

/* Hands *POINTER over: gives its value and leaves NULL behind. */
#define take(pointer)                                                                              \
  __extension__({                                                                                  \
    __typeof__ (*(pointer)) taken_ = *(pointer);                                                   \
    *(pointer) = NULL;                                                                             \
    taken_;                                                                                        \
  })

/* The same for a file descriptor: leaves -1 behind. */
static inline int
take_fd (int *fd)
{
  int taken = *fd;
  *fd = -1;
  return taken;
}

static inline void
auto_free_ (void *pointer)
{
  free (*(void **) pointer);
}

static inline void
auto_fd_ (const int *fd)
{
  if (*fd >= 0)
    (void) close (*fd);
}

static inline void
auto_dir_ (DIR **dir)
{
  if (*dir != NULL)
    (void) closedir (*dir);
}

static inline void
auto_file_ (FILE **file)
{
  if (*file != NULL)
    (void) fclose (*file);
}

#define auto_free AUTO (auto_free_)
#define auto_fd AUTO (auto_fd_)
#define auto_dir AUTO (auto_dir_)
#define auto_file AUTO (auto_file_)

#endif
