// The saved end of a removed launch's output, read piece by piece as credit allows. Pure; any bytes
// may be in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "shared/base/time.h"

namespace cube::worker {

// What is saved of a launch before it is removed: bytes of its text, without what its frames have
// beside them.
inline constexpr std::size_t kSavedOutputMax = 1u << 20;

class SavedOutput {
 public:
  enum class Form : std::uint8_t {
    kFrames,  // services/worker/engine/output_log.h
    kPlain,   // stdout and stderr as they came: what workers saved before
  };
  struct Piece {
    bool is_stderr = false;
    WallTime time;  // unset = unknown
    std::string bytes;
  };

  SavedOutput() = default;
  SavedOutput(std::string bytes, Form form) : bytes_(std::move(bytes)), form_(form) {}

  // Goes to the last `lines` lines. Call it first.
  void SkipToTail(std::int64_t lines);
  // Skips what has an older time. Plain output has none and stays.
  void SkipBefore(WallTime since) { since_ = since; }
  // At most `bytes_max` (at least 1) bytes of one line. nullopt: there is nothing more.
  [[nodiscard]] std::optional<Piece> Next(std::size_t bytes_max);
  [[nodiscard]] bool done() const { return at_ >= bytes_.size(); }
  // Its first lines were not saved.
  [[nodiscard]] bool cut() const;

 private:
  [[nodiscard]] std::optional<Piece> NextOfFrames(std::size_t bytes_max);

  std::string bytes_;
  Form form_ = Form::kPlain;
  WallTime since_;
  std::size_t at_ = 0;     // where the next frame, or byte, is
  std::size_t taken_ = 0;  // bytes of that frame's text that were given
};

}  // namespace cube::worker
