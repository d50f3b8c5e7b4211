// Which subjects may be published to. NATS does not check the reply subject of a message: whoever
// may send us a request could name "$JS.API.STREAM.PURGE..." as its reply, and our answer, sent
// with our rights, would erase a stream. So a subject taken from a message is used only if it is an
// inbox.
#pragma once

#include <string_view>

namespace cube::bus {

// Begins with "_INBOX." or "_R_." (what a server makes of inboxes between accounts), and is
// otherwise a subject without wildcards. For every subject that comes from a message.
[[nodiscard]] bool SafeReplySubject(std::string_view subject);

// Tokens without wildcards, white space or control characters, none empty.
[[nodiscard]] bool LiteralSubject(std::string_view subject);

// What Bus::Publish and Bus::Request let through: literal, and not of the server's own ("$...").
[[nodiscard]] bool PublishableSubject(std::string_view subject);

// What Bus::Append lets through: as above, and the subjects of key-value buckets ("$KV...").
[[nodiscard]] bool AppendableSubject(std::string_view subject);

}  // namespace cube::bus
