#include "shared/bus/nats_handles.h"

#include <charconv>
#include <cstdlib>

namespace cube::bus {
namespace {

constexpr const char* kStatus = "Status";
constexpr const char* kDescription = "Description";
constexpr std::string_view kVersionLine = "NATS/1.0\r\n\r\n";

}  // namespace

Incoming TakeMessage(natsMsg* message) {
  Incoming in;
  if (const char* subject = natsMsg_GetSubject(message)) in.subject = subject;
  if (const char* reply = natsMsg_GetReply(message)) in.reply = reply;
  in.payload = PayloadOf(message);
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(message, &keys, &count) != NATS_OK) return in;
  for (int i = 0; i < count; ++i) {
    const char* value = nullptr;
    if (natsMsgHeader_Get(message, keys[i], &value) != NATS_OK || value == nullptr) continue;
    const std::string_view text = value;
    if (std::string_view(keys[i]) == kStatus && in.payload.empty()) {
      std::from_chars(text.data(), text.data() + text.size(), in.status);
    } else if (std::string_view(keys[i]) == kDescription && in.payload.empty()) {
      in.status_text = text;
    } else {
      in.headers.emplace(keys[i], text);
    }
  }
  std::free(keys);  // NOLINT: the C client allocated the array, not its strings
  return in;
}

bool NoResponders(natsMsg* message) { return natsMsg_IsNoResponders(message); }

std::size_t ContentBytes(const Headers& headers, std::string_view payload) {
  std::size_t size = payload.size();
  if (!headers.empty()) size += kVersionLine.size();
  for (const auto& [key, value] : headers) size += key.size() + value.size() + 4;  // ": ", CR LF
  return size;
}

}  // namespace cube::bus
