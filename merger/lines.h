/* lines.h — an attempt's outputs.jsonl, a line at a time: what the attempt wrote, in the storage's
 * order; a line of a manifest's outputs is the same. */
#ifndef SHOAL_MERGER_LINES_H
#define SHOAL_MERGER_LINES_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/digest.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdio.h>

struct line
{
  const char *text; /* the JSON object as it stands, without the newline */
  size_t text_size;
  char output[256];     /* name of the output */
  struct buffer path;   /* below outputs/NAME, NUL-ended bytes */
  bool folder;          /* an empty folder */
  bool link;            /* a symbolic link */
  struct buffer target; /* what a link says */
  int64_t size;         /* of a file */
  char sha256[DIGEST_TEXT_SIZE];
  /* of an attempt's file when it was summed; -1: not said. Not part of `text`: times aren't a
     result's */
  int64_t mtime_ns;
  int64_t shard;        /* who wrote it; -1: not said (the reduce container) */
  struct buffer object; /* where it is kept, when not in the attempt of that shard; empty */
};

/* Reads TEXT, one JSON object, into LINE, which may have been used before; LINE points to it then.
 * False when it is damaged. */
bool line_read (struct line *line, const char *text, size_t size);
void line_release (struct line *line);

struct lines
{
  FILE *file;
  char *raw;
  size_t raw_capacity;
  struct line line;
  char *name; /* for errors */
};

/* Opens FOLDER_FD/NAME/outputs.jsonl. A missing file is an empty list. */
int lines_open (struct lines *lines, int folder_fd, const char *name, struct error *err);

/* The next line, valid until the next call: 1, 0 at the end, or -1 (a damaged list). */
int lines_next (struct lines *lines, struct error *err);

/* The same, but only `text` and `mtime_ns` of the line are filled, and it isn't checked. */
int lines_next_raw (struct lines *lines, struct error *err);
void lines_close (struct lines *lines);
#define auto_lines AUTO (lines_close)

#endif
