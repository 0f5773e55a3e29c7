/* storage_conformance.h — what every storage must do, as one suite to run against each
 * implementation. */
#ifndef SHOAL_TESTS_LIB_STORAGE_CONFORMANCE_H
#define SHOAL_TESTS_LIB_STORAGE_CONFORMANCE_H

#include "storage/listing.h"
#include "storage/storage.h"

/* How the suite fills a new, empty source and opens it. */
struct storage_fixture
{
  void *context;
  void (*put) (void *context, const char *path,
               struct bytes content); /* over what is there; makes the folders above */
  void (*remove) (void *context, const char *path);
  struct storage *(*open) (void *context, struct error *err);
  bool remote;     /* files are fetched, not opened; their sizes come with every listing */
  bool hides_dots; /* names that begin with "." aren't listed there */
  bool text_names; /* names there are UTF-8 without control characters */
};

/* Runs one named part on a fresh fixture; failures fail the cmocka test that calls it. */
void storage_conformance_order (const struct storage_fixture *fixture);
void storage_conformance_names (const struct storage_fixture *fixture);
void storage_conformance_sizes (const struct storage_fixture *fixture);
void storage_conformance_pruning (const struct storage_fixture *fixture);
void storage_conformance_ending (const struct storage_fixture *fixture);
void storage_conformance_files (const struct storage_fixture *fixture);
void storage_conformance_many (const struct storage_fixture *fixture);

/* Of remote ones: a random tree comes byte by byte, large files too; files that were changed or
 * removed since they were listed don't; bad paths are refused. */
void storage_conformance_fetch (const struct storage_fixture *fixture);
void storage_conformance_pins (const struct storage_fixture *fixture);
void storage_conformance_paths (const struct storage_fixture *fixture);

/* What a listing told of files, for fetching them. */
struct listed
{
  struct storage_item *items; /* own their strings */
  size_t count;
  size_t next; /* of the batch */
};

void listed_fill (struct listed *listed, struct storage *storage);
void listed_release (struct listed *listed);

/* Fetches all of LISTED into the folder; what storage_fetch returns. TOTALS may be NULL. */
int listed_fetch (struct listed *listed, struct storage *storage, int folder_fd,
                  struct storage_totals *totals, struct error *err);

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
  bool told; /* sizes come unasked */
  enum symlinks symlinks;
  struct buffer *left_out; /* "path\n" of links to folders; NULL: they aren't looked for */
};

void notebook_release (struct notebook *notebook);

/* Lists into NOTEBOOK, which also checks the order; returns what storage_list does. */
int notebook_list (struct notebook *notebook, struct storage *storage, struct error *err);

#endif
