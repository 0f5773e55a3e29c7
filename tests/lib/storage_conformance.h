/* storage_conformance.h — what every storage must do, as one suite to run against each
 * implementation. */
#ifndef SHOAL_TESTS_LIB_STORAGE_CONFORMANCE_H
#define SHOAL_TESTS_LIB_STORAGE_CONFORMANCE_H

#include "common/storage/storage.h"

/* How the suite fills a new, empty source and opens it. */
struct storage_fixture
{
  void *context;
  void (*put) (void *context, const char *path, const char *content); /* makes the folders above */
  struct storage *(*open) (void *context, struct error *err);
};

/* Runs one named part on a fresh fixture; failures fail the cmocka test that calls it. */
void storage_conformance_order (const struct storage_fixture *fixture);
void storage_conformance_names (const struct storage_fixture *fixture);
void storage_conformance_sizes (const struct storage_fixture *fixture);
void storage_conformance_pruning (const struct storage_fixture *fixture);
void storage_conformance_ending (const struct storage_fixture *fixture);
void storage_conformance_files (const struct storage_fixture *fixture);
void storage_conformance_many (const struct storage_fixture *fixture);

/* A visitor's notebook, for the suite and for tests of one implementation: "path\n", folders with
 * "/". */
struct notebook
{
  struct buffer text;
  struct buffer last;   /* the entry before, as it is ordered */
  const char *pruned;   /* folder that isn't entered, or NULL */
  const char *unwanted; /* link that isn't wanted, or NULL */
  int end_after;        /* entries until the visitor returns 7; 0: never */
  int count;
  int64_t bytes;
  bool sizes;
  enum symlinks symlinks;
};

void notebook_release (struct notebook *notebook);

/* Lists into NOTEBOOK, which also checks the order; returns what storage_list does. */
int notebook_list (struct notebook *notebook, struct storage *storage, struct error *err);

#endif
