#include "services/cli/verify/direct_readers.h"

#include <fmt/format.h>

#include <algorithm>

namespace cube::cli {

void DirectReaders::Execute(manager::Operations& out, std::vector<std::string>& notes) {
  for (manager::Operation& operation : out.Take()) {
    if (auto* line = std::get_if<manager::LogLine>(&operation)) {
      notes.push_back(std::move(line->text));
      continue;
    }
    const auto* call = std::get_if<bus::Operation>(&operation);
    if (call == nullptr) continue;
    if (const auto* open = std::get_if<bus::OpenReader>(call)) {
      readers_[open->id] = {open->stream, std::max<std::uint64_t>(open->from_seq, 1), 0};
    } else if (const auto* pull = std::get_if<bus::Pull>(call)) {
      if (const auto it = readers_.find(pull->id); it != readers_.end()) {
        it->second.credit += pull->messages;
      }
    } else if (const auto* close = std::get_if<bus::CloseReader>(call)) {
      readers_.erase(close->id);
    }
  }
}

Result<bus::StreamState> DirectReaders::Look(const std::string& stream) {
  CUBE_TRY(bus::StreamState state, client_->State(stream));
  first_[stream] = state.first_seq;
  last_[stream] = state.last_seq;
  return state;
}

Result<void> DirectReaders::ReadOne(bus::SubId id, Reader& reader, std::vector<bus::Read>& reads) {
  const std::uint64_t end = std::min(last_[reader.stream], reader.next + reader.credit - 1);
  if (reader.credit == 0 || reader.next > end) return {};
  StreamSeen& seen = seen_[reader.stream];
  seen.name = reader.stream;
  std::uint64_t expected = reader.next;
  std::uint64_t missing = 0;
  CUBE_TRY_VOID(
      client_->ReadRange(reader.stream, reader.next, end, [&](const bus::StreamMessage& message) {
        missing += message.seq - expected;
        expected = message.seq + 1;
        if (seen.first == 0) seen.first = message.seq;
        seen.last = message.seq;
        ++seen.messages;
        --reader.credit;
        reads.push_back({id, message});
      }));
  missing += end + 1 - expected;
  if (missing > 0) {
    const std::uint64_t first = first_[reader.stream];
    CUBE_TRY(const bus::StreamState now, Look(reader.stream));
    if (now.first_seq > first && now.first_seq > reader.next) {
      return Fail(Code::kAborted, fmt::format("{} was trimmed up to message {} while it was read; "
                                              "begin anew",
                                              reader.stream, now.first_seq - 1));
    }
    seen.missing += missing;
  }
  reader.next = end + 1;
  return {};
}

Result<std::vector<bus::Read>> DirectReaders::Read() {
  std::vector<bus::Read> reads;
  // Nothing is read for a reader while the others still have what they can use: each has credit for
  // little more than a round trip.
  for (auto& [id, reader] : readers_) {
    CUBE_TRY_VOID(ReadOne(id, reader, reads));
  }
  return reads;
}

}  // namespace cube::cli
