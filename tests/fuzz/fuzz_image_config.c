/* libFuzzer: an image's configuration, as somebody's image may hold it. It is refused by name, or
 * gives an argv and an environment that can be passed on. */
#include "common/memory.h"
#include "worker/image_config.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  auto_image_config struct image_config config = { 0 };
  auto_free char *copy = xmemdup (data, size);
  struct error err = ERROR_INIT;
  if (image_config_parse ((struct bytes){ copy, size }, &config, &err) != 0)
    {
      if (err.class != ERROR_USER || err.message[0] == '\0')
        abort ();
      return 0;
    }
  auto_job struct job job;
  job_init (&job);
  const struct strlist nothing = { 0 };
  auto_strlist struct strlist argv = { 0 };
  auto_strlist struct strlist env = { 0 };
  if (image_config_command (&config, &job, &nothing, &argv, NULL) == 0 && argv.count == 0)
    abort ();
  image_config_env (&config, &job, &nothing, &env);
  bool path = false;
  for (size_t i = 0; i < env.count; i++)
    path = path || strncmp (env.items[i], "PATH=", 5) == 0;
  if (!path)
    abort ();
  return 0;
}
