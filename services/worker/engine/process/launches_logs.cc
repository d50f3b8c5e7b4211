// Reading what launches have printed.
#include "services/worker/engine/process/launches.h"

namespace cube::engine::process {

void Launches::OpenLogs(std::uint64_t stream, const LaunchKey& key, LogOptions options) {
  CloseLogs(stream);
  const Entry* entry = Find(key);
  if (entry == nullptr) {
    sink_(
        LogEnd{stream, Error{Code::kNotFound, "logs: no launch " + FolderName(key) + " here", {}}});
    return;
  }
  // The watch first: what is written after the reader has looked is told.
  streams_.emplace(stream, Stream{key, LogStream(stream, entry->folder, options)});
  Follow(key);
  Pump(stream);
}

void Launches::LogCredit(std::uint64_t stream, std::size_t bytes) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  it->second.reader.AddCredit(bytes);
  Pump(stream);
}

void Launches::CloseLogs(std::uint64_t stream) {
  if (streams_.contains(stream)) EndStream(stream, std::nullopt);
}

void Launches::Pump(std::uint64_t stream) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  const Entry* entry = Find(it->second.key);
  const bool final = entry == nullptr || entry->status.state == LaunchState::kExited;
  busy_streams_.erase(stream);
  switch (it->second.reader.Pump(final, sink_)) {
    case LogStream::Next::kWait:
      break;
    case LogStream::Next::kAgain:
      busy_streams_.insert(stream);
      break;
    case LogStream::Next::kEnd:
      EndStream(stream, std::nullopt);
      break;
  }
}

void Launches::PumpAll(const LaunchKey& key) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, stream] : streams_) {
    if (stream.key == key) ids.push_back(id);
  }
  for (const auto id : ids) Pump(id);
}

void Launches::EndStreams(const LaunchKey& key) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, stream] : streams_) {
    if (stream.key == key) ids.push_back(id);
  }
  for (const auto id : ids) EndStream(id, std::nullopt);
}

void Launches::EndStream(std::uint64_t stream, std::optional<Error> error) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  const LaunchKey key = it->second.key;
  const bool followed = it->second.reader.follow();
  streams_.erase(it);
  busy_streams_.erase(stream);
  if (followed) Follow(key);
  sink_(LogEnd{stream, std::move(error)});
}

// Sets what the folder's watch tells, by whether anybody follows the output.
void Launches::Follow(const LaunchKey& key) {
  Entry* entry = Find(key);
  if (entry == nullptr || !entry->supervisor) return;
  bool follow = false;
  for (const auto& [id, stream] : streams_) {
    follow = follow || (stream.key == key && stream.reader.follow());
  }
  // If it fails, the follower still gets the rest when the launch ends.
  (void)WatchFolder(*entry, follow);
}

Result<void> Launches::SaveOutput(const Entry& entry, const std::string& path,
                                  std::size_t bytes_max) {
  constexpr std::size_t kFileBytesMax = kOutputBytesMax + (1u << 20);
  std::string frames;
  if (auto old = ReadFile(entry.folder + '/' + kOldOutputFile, kFileBytesMax)) frames = *old;
  if (auto current = ReadFile(entry.folder + '/' + kOutputFile, kFileBytesMax)) frames += *current;
  const bool cut = frames.starts_with(kCutMark);
  if (cut) frames.erase(0, kCutMark.size());
  std::string tail(TailFrames(frames, bytes_max));
  if (cut || tail.size() < frames.size()) tail.insert(0, kCutMark);
  if (auto saved = WriteFileAtomic(path, tail, 0600, true); !saved) {
    return Annotate(saved.error(), "saving the output of " + FolderName(entry.record.key));
  }
  return {};
}

}  // namespace cube::engine::process
