#include "test/support/bus/sim_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace cube::bus {
namespace {

// What nats-server counts for a stored message besides its content (fileStoreMsgSize).
constexpr std::uint64_t kRecordBytes = 22 + 8;
constexpr std::uint64_t kHeaderBytes = 4;

std::uint64_t HeaderSize(const Headers& headers) {
  if (headers.empty()) return 0;
  std::uint64_t size = std::string_view("NATS/1.0\r\n\r\n").size();
  for (const auto& [key, value] : headers) size += key.size() + value.size() + 4;  // ": ", CR LF
  return size;
}

std::uint64_t StoredSize(const std::string& subject, const Headers& headers,
                         const std::string& payload) {
  const std::uint64_t header = HeaderSize(headers);
  return kRecordBytes + subject.size() + payload.size() + (header == 0 ? 0 : header + kHeaderBytes);
}

}  // namespace

bool SubjectMatches(const std::string& pattern, const std::string& subject) {
  std::string_view p = pattern;
  std::string_view s = subject;
  while (true) {
    const std::size_t p_end = p.find('.');
    const std::size_t s_end = s.find('.');
    const std::string_view p_token = p.substr(0, p_end);
    if (p_token == ">") return !s.empty();
    if (p_token != "*" && p_token != s.substr(0, s_end)) return false;
    if ((p_end == std::string_view::npos) != (s_end == std::string_view::npos)) return false;
    if (p_end == std::string_view::npos) return true;
    p.remove_prefix(p_end + 1);
    s.remove_prefix(s_end + 1);
  }
}

SimStream::SimStream(StreamConfig config, Now created)
    : config_(std::move(config)), created_(created.wall) {}

bool SimStream::Takes(const std::string& subject) const {
  for (const auto& pattern : config_.subjects) {
    if (SubjectMatches(pattern, subject)) return true;
  }
  return false;
}

bool SimStream::rolling() const {
  return config_.messages_per_subject_max > 0 || config_.age_max > Duration{0};
}

Result<std::uint64_t> SimStream::Store(const AppendRequest& request, Now now) {
  Expire(now.mono);
  const auto newest = by_subject_.find(request.subject);
  const std::uint64_t subject_seq =
      newest == by_subject_.end() ? 0 : newest->second.rbegin()->first;
  if (request.expected_last_seq && *request.expected_last_seq != last_seq_) {
    return Fail(Code::kAborted, fmt::format("append to {}: expected last sequence {}, it is {}",
                                            config_.name, *request.expected_last_seq, last_seq_));
  }
  if (request.expected_last_subject_seq && *request.expected_last_subject_seq != subject_seq) {
    return Fail(
        Code::kAborted,
        fmt::format("append to {}: expected last sequence {} of subject {}, it is {}", config_.name,
                    *request.expected_last_subject_seq, request.subject, subject_seq));
  }
  const std::uint64_t content = HeaderSize(request.headers) + request.payload.size();
  if (config_.message_bytes_max >= 0 &&
      content > static_cast<std::uint64_t>(config_.message_bytes_max)) {
    return Fail(Code::kResource, fmt::format("append to {}: {} bytes, at most {} are allowed",
                                             config_.name, content, config_.message_bytes_max));
  }
  const std::uint64_t size = StoredSize(request.subject, request.headers, request.payload);
  if (config_.bytes_max >= 0 && bytes_ + size > static_cast<std::uint64_t>(config_.bytes_max)) {
    return Fail(Code::kResource, fmt::format("append to {}: the stream is full ({} of {} bytes)",
                                             config_.name, bytes_, config_.bytes_max));
  }
  const std::uint64_t seq = ++last_seq_;
  if (messages_.empty()) first_seq_ = seq;
  messages_[seq] =
      StreamMessage{config_.name, seq, now.wall, request.subject, request.headers, request.payload};
  stored_at_[seq] = now.mono;
  by_subject_[request.subject][seq] = true;
  bytes_ += size;
  if (config_.messages_per_subject_max > 0) {
    auto& kept = by_subject_[request.subject];
    while (kept.size() > static_cast<std::size_t>(config_.messages_per_subject_max)) {
      Remove(kept.begin()->first);
    }
  }
  return seq;
}

void SimStream::Remove(std::uint64_t seq) {
  const auto it = messages_.find(seq);
  if (it == messages_.end()) return;
  bytes_ -= StoredSize(it->second.subject, it->second.headers, it->second.payload);
  const auto subject = by_subject_.find(it->second.subject);
  subject->second.erase(seq);
  if (subject->second.empty()) by_subject_.erase(subject);
  stored_at_.erase(seq);
  messages_.erase(it);
  first_seq_ = messages_.empty() ? last_seq_ + 1 : messages_.begin()->first;
}

void SimStream::Expire(MonoTime now) {
  if (config_.age_max <= Duration{0}) return;
  while (!stored_at_.empty() && now - stored_at_.begin()->second >= config_.age_max) {
    Remove(stored_at_.begin()->first);
  }
}

void SimStream::Purge(std::uint64_t before_seq) {
  while (!messages_.empty() && messages_.begin()->first < before_seq) {
    Remove(messages_.begin()->first);
  }
}

void SimStream::LoseTail(std::uint64_t last_seq) {
  while (!messages_.empty() && messages_.rbegin()->first > last_seq) {
    Remove(messages_.rbegin()->first);
  }
  last_seq_ = std::min(last_seq_, last_seq);
  first_seq_ = messages_.empty() ? last_seq_ + 1 : messages_.begin()->first;
}

StreamState SimStream::State() const {
  StreamState state;
  state.name = config_.name;
  state.created = created_;
  state.first_seq = first_seq_;
  state.last_seq = last_seq_;
  state.messages = messages_.size();
  state.bytes = bytes_;
  state.bytes_max = config_.bytes_max;
  state.replicas = config_.replicas;
  return state;
}

const StreamMessage* SimStream::Find(std::uint64_t seq) const {
  const auto it = messages_.find(seq);
  return it == messages_.end() ? nullptr : &it->second;
}

const StreamMessage* SimStream::FindLast(const std::string& subject, std::uint64_t last_seq) const {
  const auto it = by_subject_.find(subject);
  if (it == by_subject_.end()) return nullptr;
  const auto behind = it->second.upper_bound(last_seq);
  return behind == it->second.begin() ? nullptr : Find(std::prev(behind)->first);
}

const StreamMessage* SimStream::FindFrom(std::uint64_t seq) const {
  const auto it = messages_.lower_bound(seq);
  return it == messages_.end() ? nullptr : &it->second;
}

}  // namespace cube::bus
