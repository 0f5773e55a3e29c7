/* file_tree.h — a folder below /tmp for a test to fill, removed after it. Failures fail it. */
#ifndef SHOAL_TESTS_LIB_FILE_TREE_H
#define SHOAL_TESTS_LIB_FILE_TREE_H

#include "common/auto.h"

#include <stddef.h>

struct file_tree
{
  char *folder; /* absolute */
  int fd;
};

struct file_tree *file_tree_new (void);
void file_tree_free (struct file_tree *tree);

static inline void
auto_file_tree_ (struct file_tree **tree)
{
  file_tree_free (*tree);
}
#define auto_file_tree AUTO (auto_file_tree_)

/* A file of SIZE bytes; the folders above it are made. */
void file_tree_put (struct file_tree *tree, const char *path, size_t size);
void file_tree_make_folder (struct file_tree *tree, const char *path);
void file_tree_link (struct file_tree *tree, const char *target, const char *path);

/* Nothing is in it, under no name. */
void file_tree_expect_empty (const struct file_tree *tree);

/* The absolute path of PATH; the caller frees. */
char *file_tree_path (const struct file_tree *tree, const char *path);

#endif
