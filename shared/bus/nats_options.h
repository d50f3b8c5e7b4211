// How to reach NATS.
#pragma once

#include <string>
#include <vector>

#include "shared/base/time.h"

namespace cube::bus {

struct NatsBusOptions {
  // Servers of one cluster, "nats://host:port"; tried in random order. "tls://" asks for TLS.
  std::vector<std::string> urls{"nats://127.0.0.1:4222"};
  std::string name;  // shown by the server's monitoring

  // At most one way to say who we are; all empty = anonymous.
  std::string creds_file;  // of nsc: JWT and seed
  std::string user;
  std::string password;
  std::string token;
  std::string nkey_seed_file;  // a user's nkey: the seed, "SU..."

  // Files in PEM form. Any of them asks for TLS.
  std::string tls_ca_file;
  std::string tls_cert_file;
  std::string tls_key_file;
  // Client libraries before 3.11 read and write one TLS session from two threads without a lock.
  // With them TLS is refused (Closed, kUnsupported) unless this is set.
  bool allow_unsafe_tls = false;

  Duration connect_timeout = std::chrono::seconds(2);  // one attempt at one server
  Duration request_timeout = std::chrono::seconds(5);  // Get, GetState, steps of EnsureStreams
  // A dead peer is noticed after two unanswered pings.
  Duration ping_interval = std::chrono::seconds(5);
  // For accounts whose users may listen on an inbox of their own only.
  std::string inbox_prefix = "_INBOX";
  // For accounts without JetStream that may look at the streams of another one: what stands before
  // a stream's name where that account's STREAM.INFO was imported to. The server itself answers
  // "$JS.API..." there, with a no. Empty = there is no such import.
  std::string stream_info_prefix;
};

}  // namespace cube::bus
