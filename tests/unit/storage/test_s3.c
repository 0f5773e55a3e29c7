/* S3 without a server: signatures against published vectors, credentials, listings as they may
 * come. */
#include "storage/listing.h"
#include "storage/s3/s3.h"

#include "common/clock.h"
#include "common/memory.h"
#include "storage/s3/page.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- signatures ------------------------------------------------------------------------- */

static void
expect_signature (const char *secret, const struct sign_scope *scope, const char *method,
                  const char *url, const char *payload, const char *header, const char *wanted)
{
  const struct sign_keys keys = { scope->service[0] == 's' && scope->service[1] == '3'
                                      ? "AKIAIOSFODNN7EXAMPLE"
                                      : "AKIDEXAMPLE",
                                  secret, NULL };
  auto_strlist struct strlist headers = { 0 };
  if (header != NULL)
    strlist_add (&headers, header);
  sign_request (&keys, scope, method, url, payload, &headers);
  const char *last = headers.items[headers.count - 1];
  const char *signature = strstr (last, "Signature=");
  assert_non_null (signature);
  assert_string_equal (signature + strlen ("Signature="), wanted);
}

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Amazon S3 API reference, "Signature Calculations for the Authorization Header: Transferring
 * Payload in a Single Chunk", the examples whose signed headers are the host's and x-amz-*. */
static void
signatures_are_those_of_the_reference (void **state)
{
  (void) state;
  static const char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  const struct sign_scope scope = { "us-east-1", "s3", 1369353600000 }; /* 20130524T000000Z */
  expect_signature (secret, &scope, "GET",
                    "https://examplebucket.s3.amazonaws.com/?lifecycle=", EMPTY,
                    "x-amz-content-sha256: " EMPTY,
                    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  expect_signature (secret, &scope, "GET",
                    "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", EMPTY,
                    "x-amz-content-sha256: " EMPTY,
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* AWS's Signature Version 4 test suite, cases by name. */
static void
signatures_are_those_of_the_test_suite (void **state)
{
  (void) state;
  static const char secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const struct sign_scope scope = { "us-east-1", "service", 1440938160000 }; /* 20150830T123600Z */
  static const struct
  {
    const char *name, *method, *url, *header, *body, *signature;
  } cases[] = {
    { "get-vanilla", "GET", "https://example.amazonaws.com/", NULL, "",
      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
    { "get-vanilla-query-order-key-case", "GET",
      "https://example.amazonaws.com/?Param1=value1&Param2=value2", NULL, "",
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
    { "get-unreserved", "GET",
      "https://example.amazonaws.com/"
      "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
      NULL, "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
    { "get-utf8", "GET", "https://example.amazonaws.com/%E1%88%B4", NULL, "",
      "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
    { "post-vanilla", "POST", "https://example.amazonaws.com/", NULL, "",
      "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
    { "post-x-www-form-urlencoded", "POST", "https://example.amazonaws.com/",
      "Content-Type: application/x-www-form-urlencoded", "Param1=value1",
      "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      char payload[65];
      (void) sign_sha256 ((struct bytes){ cases[i].body, strlen (cases[i].body) }, payload);
      printf ("%s\n", cases[i].name);
      expect_signature (secret, &scope, cases[i].method, cases[i].url, payload, cases[i].header,
                        cases[i].signature);
    }
}

/* What is signed is the Host header as it is sent: without the scheme's own port. */
static void
a_port_that_says_nothing_is_not_signed (void **state)
{
  (void) state;
  static const char *const urls[][2] = { { "http://h/", "http://h:80/" },
                                         { "https://h/?a=b", "https://h:443/?a=b" },
                                         { "http://[::1]/", "http://[::1]:80/" } };
  static const char *const others[][2] = { { "http://h/", "http://h:443/" },
                                           { "https://h/", "https://h:80/" },
                                           { "http://h/", "http://h:8080/" } };
  const struct sign_keys keys = { "id", "secret", NULL };
  const struct sign_scope scope = { "us-east-1", "s3", 1440938160000 };
  for (size_t i = 0; i < 6; i++)
    {
      const char *const *pair = i < 3 ? urls[i] : others[i - 3];
      auto_strlist struct strlist left = { 0 }, right = { 0 };
      sign_request (&keys, &scope, "GET", pair[0], EMPTY, &left);
      sign_request (&keys, &scope, "GET", pair[1], EMPTY, &right);
      bool same = strcmp (left.items[left.count - 1], right.items[right.count - 1]) == 0;
      assert_int_equal (same, i < 3);
    }
}

static void
keys_are_encoded_byte_by_byte (void **state)
{
  (void) state;
  auto_buffer struct buffer path = { 0 };
  sign_encode (&path, "a b+c/%41?#&=\xc3\xa9~-._'()*!", true);
  assert_string_equal (path.data, "a%20b%2Bc/%2541%3F%23%26%3D%C3%A9~-._%27%28%29%2A%21");
  buffer_clear (&path);
  sign_encode (&path, "a/b", false);
  assert_string_equal (path.data, "a%2Fb");
}

/* ---- credentials ------------------------------------------------------------------------ */

static void
forget_all (void)
{
  static const char *const names[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    (void) unsetenv (names[i]);
  (void) setenv ("HOME", "/nonexistent", 1);
  (void) setenv ("AWS_EC2_METADATA_DISABLED", "true", 1);
}

/* The id, secret and token of what is found, "-" for none, or the error. The caller frees. */
static char *
who (void)
{
  struct error err = ERROR_INIT;
  struct credentials *credentials = credentials_new (NULL);
  auto_credentials struct credentials_now now = { 0 };
  int result = credentials_get (credentials, &now, &err);
  credentials_free (credentials);
  return result != 0
             ? xstrdup (err.message)
             : xasprintf ("%s %s %s", now.id, now.secret, now.token == NULL ? "-" : now.token);
}

#define EXPECT_WHO(wanted)                                                                         \
  do                                                                                               \
    {                                                                                              \
      auto_free char *got_ = who ();                                                               \
      if (strstr (got_, wanted) == NULL)                                                           \
        fail_msg ("'%s' isn't in '%s'", wanted, got_);                                             \
    }                                                                                              \
  while (0)

static char *
make_file (const struct peer *peer, const char *name, const char *text)
{
  char *path = xasprintf ("%s/%s", peer->folder, name);
  auto_file FILE *file = fopen (path, "w");
  assert_non_null (file);
  assert_true (fputs (text, file) >= 0);
  return path;
}

static void
say (const struct peer *peer, const char *path, const char *text)
{
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  http_call_init (&call, xasprintf ("http://127.0.0.1:%d%s", peer->port, path));
  call.method = "PUT";
  call.body = (struct bytes){ text, strlen (text) };
  if (http_perform (http, &call, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
set_url (const char *name, const struct peer *peer, const char *path)
{
  auto_free char *url = xasprintf ("http://127.0.0.1:%d%s", peer->port, path);
  (void) setenv (name, url, 1);
}

static void
credentials_are_found_in_aws_order (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  forget_all ();
  EXPECT_WHO ("no AWS credentials");

  say (peer, "/said/role",
       "{\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"c\",\"Token\":\"t\","
       "\"Expiration\":\"2099-01-01T00:00:00Z\"}");
  set_url ("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer, "/said/role");
  (void) setenv ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod", 1);
  EXPECT_WHO ("C c t");
  assert_int_equal (peer_logged (peer, "GET /said/role pod"), 1);

  auto_free char *config =
      make_file (peer, "config",
                 "[default]\nregion=eu-west-1\n"
                 "[profile work]\naws_access_key_id=W\naws_secret_access_key = w \n"
                 "s3 =\n  aws_access_key_id = nested\n");
  auto_free char *file = make_file (peer, "credentials",
                                    "# mine\n[default]\naws_access_key_id = D\n"
                                    "aws_secret_access_key=d=e\naws_session_token=s\n");
  (void) setenv ("AWS_CONFIG_FILE", config, 1);
  (void) setenv ("AWS_SHARED_CREDENTIALS_FILE", file, 1);
  EXPECT_WHO ("D d=e s");
  (void) setenv ("AWS_PROFILE", "work", 1);
  EXPECT_WHO ("W w -");
  (void) unsetenv ("AWS_PROFILE");
  auto_free char *region = credentials_setting ("region");
  assert_string_equal (region, "eu-west-1");

  auto_free char *token = make_file (peer, "token", "a.b+c\n");
  say (peer, "/said/sts",
       "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
       "<AccessKeyId>I</AccessKeyId><SecretAccessKey>i</SecretAccessKey><SessionToken>it</"
       "SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
       "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
  set_url ("AWS_ENDPOINT_URL_STS", peer, "/said/sts");
  (void) setenv ("AWS_WEB_IDENTITY_TOKEN_FILE", token, 1);
  (void) setenv ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
  EXPECT_WHO ("I i it");

  (void) setenv ("AWS_ACCESS_KEY_ID", "E", 1);
  EXPECT_WHO ("a key's id without its secret key");
  (void) setenv ("AWS_SECRET_ACCESS_KEY", "e", 1);
  EXPECT_WHO ("E e -");
  (void) setenv ("AWS_SESSION_TOKEN", "et", 1);
  EXPECT_WHO ("E e et");
  forget_all ();
}

static void
an_instance_has_a_role (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  forget_all ();
  (void) unsetenv ("AWS_EC2_METADATA_DISABLED");
  set_url ("AWS_EC2_METADATA_SERVICE_ENDPOINT", peer, "/said");
  say (peer, "/said/latest/meta-data/iam/security-credentials/", "worker\n");
  say (peer, "/said/latest/meta-data/iam/security-credentials/worker",
       "{\"AccessKeyId\":\"M\",\"SecretAccessKey\":\"m\",\"Token\":\"mt\","
       "\"Expiration\":\"2099-01-01T00:00:00Z\"}");
  EXPECT_WHO ("no AWS credentials"); /* without a token that is no version 2 */
  forget_all ();
}

/* As metadata word it; the caller frees. */
static char *
role_until (time_t end)
{
  char expires[32];
  struct tm parts;
  (void) strftime (expires, sizeof expires, "%Y-%m-%dT%H:%M:%SZ", gmtime_r (&end, &parts));
  return xasprintf ("{\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"c\",\"Expiration\":\"%s\"}",
                    expires);
}

/* Ones that have run out are asked for again; others aren't, nor are those that soon will at each
 * request. */
static void
credentials_that_run_out_are_got_again (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  forget_all ();
  set_url ("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer, "/said/role");
  static const struct
  {
    int left; /* seconds */
    int asked;
  } cases[] = { { 1000000, 1 }, { 240, 1 }, { -240, 3 } };
  int before = 0;
  for (size_t i = 0; i < 3; i++)
    {
      auto_free char *text = role_until (time (NULL) + cases[i].left);
      say (peer, "/said/role", text);
      struct credentials *credentials = credentials_new (NULL);
      for (int round = 0; round < 3; round++)
        {
          auto_credentials struct credentials_now now = { 0 };
          assert_int_equal (credentials_get (credentials, &now, NULL), 0);
        }
      assert_int_equal (peer_logged (peer, "GET /said/role") - before, cases[i].asked);
      before += cases[i].asked;
      credentials_expire (credentials);
      auto_credentials struct credentials_now now = { 0 };
      assert_int_equal (credentials_get (credentials, &now, NULL), 0);
      assert_int_equal (peer_logged (peer, "GET /said/role") - before, 1);
      before++;
      credentials_free (credentials);
    }
  forget_all ();
}

/* An agent that is away for a moment costs nothing while what it gave is good; afterwards it is
 * missed. */
static void
credentials_do_until_they_run_out (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  forget_all ();
  set_url ("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer, "/said/role");
  for (int left = -60; left <= 6;
       left += 66) /* seconds; of the six the half must pass before others are looked for */
    {
      const time_t then = time (NULL) + left;
      auto_free char *text = role_until (then);
      say (peer, "/said/role", text);
      struct credentials *credentials = credentials_new (NULL);
      auto_credentials struct credentials_now first = { 0 }, second = { 0 };
      assert_int_equal (credentials_get (credentials, &first, NULL), 0);
      (void) unsetenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI"); /* as if nobody were there */
      while (clock_wall_ms () < (int64_t) then * 1000 - 2500)
        (void) usleep (50000);
      struct error err = ERROR_INIT;
      assert_int_equal (credentials_get (credentials, &second, &err), left < 0 ? -1 : 0);
      assert_int_equal (error_is_set (&err), left < 0);
      credentials_free (credentials);
      set_url ("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer, "/said/role");
    }
  forget_all ();
}

/* ---- listings --------------------------------------------------------------------------- */

struct seen
{
  struct buffer text;
  const char *wanted; /* only paths that begin so */
};

static bool
enter (void *context, const char *path, size_t size)
{
  (void) context;
  (void) path;
  (void) size;
  return true;
}

static int
see (void *context, const struct storage_entry *entry, struct error *err)
{
  struct seen *seen = context;
  (void) err;
  buffer_printf (&seen->text, "%s%s\n", entry->path, entry->folder ? "/" : "");
  return 0;
}

static bool
want (void *context, const char *path, size_t size)
{
  const struct seen *seen = context;
  (void) size;
  return seen->wanted == NULL || strncmp (path, seen->wanted, strlen (seen->wanted)) == 0;
}

/* Lists the bucket that PEER says. */
static int
list_said (const struct peer *peer, const char *wanted, struct buffer *text, struct error *err)
{
  set_url ("AWS_ENDPOINT_URL", peer, "");
  (void) setenv ("SHOAL_S3_ANONYMOUS", "1", 1);
  auto_storage struct storage *storage = storage_open ("s3://said", err);
  assert_non_null (storage);
  struct seen seen = { .wanted = wanted };
  const struct storage_visitor visitor = {
    .context = &seen, .enter = enter, .entry = see, .wanted = want
  };
  int result = storage_list (storage, &visitor, err);
  buffer_append (text, seen.text.data, seen.text.size);
  buffer_release (&seen.text);
  (void) unsetenv ("SHOAL_S3_ANONYMOUS");
  return result;
}

#define OBJECT(key)                                                                                \
  "<Contents><Key>" key "</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>"
#define LISTING(objects)                                                                           \
  "<ListBucketResult><IsTruncated>false</IsTruncated>" objects                                     \
  "<EncodingType>url</EncodingType></ListBucketResult>"

static void
keys_that_are_no_paths_are_named (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  static const char *const keys[][2] = {
    { OBJECT ("a%2F%2Fb"), "a//b: it has an empty component" },
    { OBJECT ("%2Fa"), "/a: it has an empty component" },
    { OBJECT ("..%2Fx"), "../x: it has a component \".\" or \"..\"" },
    { OBJECT ("a%2F.%2Fb"), "a/./b: it has a component" },
    { OBJECT ("full%2F"), "full/: it has an empty component" },
    { OBJECT ("nul%00"), "invalid listing: key with a NUL byte" },
  };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    {
      struct error err = ERROR_INIT;
      auto_buffer struct buffer text = { 0 };
      auto_free char *listing = xasprintf (LISTING ("%s"), keys[i][0]);
      say (peer, "/said/", listing);
      assert_int_equal (list_said (peer, NULL, &text, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, keys[i][1]) == NULL)
        fail_msg ("'%s' isn't in: %s", keys[i][1], err.message);
    }
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  say (peer, "/said/", LISTING (OBJECT ("..%2Fx") OBJECT ("a%2B+b") OBJECT ("z%2F%2Fz")));
  assert_int_equal (list_said (peer, "a", &text, &err), 0);
  assert_string_equal (text.data, "a+ b\n");
}

/* versitygw doesn't encode keys, and doesn't say that it did. */
static void
keys_are_decoded_only_where_they_are_encoded (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  say (peer, "/said/",
       "<ListBucketResult><IsTruncated>false</IsTruncated>" OBJECT ("a%41")
           OBJECT ("a+b") "</ListBucketResult>");
  assert_int_equal (list_said (peer, NULL, &text, &err), 0);
  assert_string_equal (text.data, "a%41\na+b\n");
}

/* rclone's ETags have no quotes, S3Proxy's markers no size; roots and prefixes are servers' own. */
static void
other_servers_listings_are_read (void **state)
{
  (void) state;
  static const char listing[] =
      "<x:ListAll "
      "xmlns:x=\"urn:y\"><x:IsTruncated>false</x:IsTruncated><x:Contents><x:Key>a/</x:Key>"
      "</x:Contents><x:Contents><x:Key>b</x:Key><x:Size>1</x:Size><x:ETag>0123</x:ETag>"
      "<x:StorageClass>DEEP_ARCHIVE</x:StorageClass></x:Contents><x:Contents><x:Key>c</x:Key>"
      "<x:Size>2</x:Size><x:ETag>&quot;45&quot;</x:ETag></x:Contents></x:ListAll>";
  auto_http_call struct http_call call = { 0 };
  auto_s3_page struct s3_page page = { 0 };
  struct error err = ERROR_INIT;
  buffer_puts (&call.answer, listing);
  if (s3_page_read (&page, &call, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (page.count, 3);
  assert_string_equal (page.objects[0].key, "a/");
  assert_int_equal (page.objects[0].size, 0);
  assert_string_equal (page.objects[1].etag, "\"0123\"");
  assert_true (page.objects[1].archived);
  assert_string_equal (page.objects[2].etag, "\"45\"");
  assert_false (page.objects[2].archived);
  char id[8] = "";
  static const char begun[] = "<Begun><UploadId>u1</UploadId></Begun>";
  assert_true (xml_find ((struct bytes){ begun, strlen (begun) },
                         "InitiateMultipartUploadResult/UploadId", id, sizeof id));
  assert_string_equal (id, "u1");
}

static void
an_object_beside_a_folder_of_its_name_is_told (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  say (peer, "/said/", LISTING (OBJECT ("a") OBJECT ("a-b") OBJECT ("a.c") OBJECT ("a%2Fb")));
  assert_int_equal (list_said (peer, NULL, &text, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "a is an object and the folder of a/b"));
  error_clear (&err);
  buffer_clear (&text);
  say (peer, "/said/", LISTING (OBJECT ("a") OBJECT ("ab") OBJECT ("ab-%2Fc") OBJECT ("b%2Fb")));
  assert_int_equal (list_said (peer, NULL, &text, &err), 0);
}

static void
a_listing_that_lies_is_refused (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  static const char *const answers[][2] = {
    { "<html>welcome</html>", "is this an S3 endpoint?" },
    { "not xml at all", "isn't XML" },
    { "", "isn't XML" },
    { "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>", "it has a DTD" },
    { LISTING (OBJECT ("b") OBJECT ("a")), "is out of order" },
    { LISTING (OBJECT ("a") OBJECT ("a")), "is out of order" },
    { LISTING ("<Contents></Contents>"), "without key or size" },
    { LISTING ("<Contents><Key>a</Key></Contents>"), "without key or size" },
    { LISTING ("<Contents><Size>1</Size></Contents>"), "without key or size" },
    { LISTING ("<Contents><Key>a</Key><Size>-1</Size></Contents>"), "size '-1'" },
    { LISTING ("<Contents><Key>a</Key><Size>1e9</Size></Contents>"), "size '1e9'" },
    { "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "without a continuation token" },
    { "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "too deep" },
  };
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    {
      struct error err = ERROR_INIT;
      auto_buffer struct buffer text = { 0 };
      say (peer, "/said/", answers[i][0]);
      assert_int_equal (list_said (peer, NULL, &text, &err), -1);
      if (strstr (err.message, answers[i][1]) == NULL)
        fail_msg ("'%s' isn't in: %s", answers[i][1], err.message);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (signatures_are_those_of_the_reference),
    cmocka_unit_test (signatures_are_those_of_the_test_suite),
    cmocka_unit_test (a_port_that_says_nothing_is_not_signed),
    cmocka_unit_test (keys_are_encoded_byte_by_byte),
    cmocka_unit_test (credentials_are_found_in_aws_order),
    cmocka_unit_test (an_instance_has_a_role),
    cmocka_unit_test (credentials_that_run_out_are_got_again),
    cmocka_unit_test (credentials_do_until_they_run_out),
    cmocka_unit_test (keys_that_are_no_paths_are_named),
    cmocka_unit_test (keys_are_decoded_only_where_they_are_encoded),
    cmocka_unit_test (other_servers_listings_are_read),
    cmocka_unit_test (an_object_beside_a_folder_of_its_name_is_told),
    cmocka_unit_test (a_listing_that_lies_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
