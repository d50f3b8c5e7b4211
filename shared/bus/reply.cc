#include "shared/bus/reply.h"

namespace cube::bus {

bool LiteralSubject(std::string_view subject) {
  bool token_empty = true;
  for (const char c : subject) {
    if (c == '.') {
      if (token_empty) return false;
      token_empty = true;
      continue;
    }
    if (c == '*' || c == '>' || static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return false;
    token_empty = false;
  }
  return !token_empty;
}

bool SafeReplySubject(std::string_view subject) {
  return (subject.starts_with("_INBOX.") || subject.starts_with("_R_.")) && LiteralSubject(subject);
}

bool PublishableSubject(std::string_view subject) {
  return !subject.starts_with('$') && LiteralSubject(subject);
}

bool AppendableSubject(std::string_view subject) {
  return (!subject.starts_with('$') || subject.starts_with("$KV.")) && LiteralSubject(subject);
}

}  // namespace cube::bus
