#include "merger/attempt_record.h"

#include "common/auto.h"
#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"

enum
{
  ATTEMPT_JSON_MAX = 1 << 20, /* bytes */
};

json_t *
attempt_record_read (int folder_fd, const char *folder)
{
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/attempt.json", folder);
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (folder_fd, path, ATTEMPT_JSON_MAX, &text, NULL) != 0)
    return NULL;
  return json_loadb (text.data, text.size, 0, NULL);
}
