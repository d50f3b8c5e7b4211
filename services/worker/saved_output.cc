#include "services/worker/saved_output.h"

#include <string_view>
#include <utility>

#include "services/worker/engine/output_log.h"

namespace cube::worker {
namespace {

std::size_t PlainTailOffset(std::string_view text, std::int64_t lines) {
  if (lines == 0) return text.size();
  std::size_t at = text.size();
  if (at > 0 && text.back() == '\n') --at;
  for (std::int64_t found = 0; at > 0; --at) {
    if (text[at - 1] == '\n' && ++found == lines) break;
  }
  return at;
}

}  // namespace

bool SavedOutput::cut() const {
  if (form_ == Form::kFrames) return bytes_.starts_with(engine::kCutMark);
  return bytes_.size() >= kSavedOutputMax;
}

void SavedOutput::SkipToTail(std::int64_t lines) {
  std::int64_t missing = 0;
  at_ = form_ == Form::kFrames ? engine::TailOffset(bytes_, lines, &missing)
                               : PlainTailOffset(bytes_, lines);
}

std::optional<SavedOutput::Piece> SavedOutput::Next(std::size_t bytes_max) {
  if (form_ == Form::kFrames) return NextOfFrames(bytes_max);
  if (done()) return std::nullopt;
  Piece piece;
  piece.bytes = bytes_.substr(at_, bytes_max);
  at_ += piece.bytes.size();
  return piece;
}

std::optional<SavedOutput::Piece> SavedOutput::NextOfFrames(std::size_t bytes_max) {
  while (!done()) {
    const std::string_view rest = std::string_view(bytes_).substr(at_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // half a frame: it was never complete
    const auto frame = engine::ParseFrame(rest.substr(0, end));
    const std::size_t size = frame ? frame->payload.size() + (frame->full ? 1 : 0) : 0;
    if (!frame || frame->time < since_ || taken_ >= size) {
      at_ += end + 1;
      taken_ = 0;
      continue;
    }
    Piece piece{frame->is_stderr, frame->time,
                std::string(frame->payload.substr(taken_, bytes_max))};
    const bool line_ends = frame->full && taken_ + piece.bytes.size() == frame->payload.size();
    if (line_ends && piece.bytes.size() < bytes_max) piece.bytes += '\n';
    taken_ += piece.bytes.size();
    if (taken_ == size) {
      at_ += end + 1;
      taken_ = 0;
    }
    return piece;
  }
  at_ = bytes_.size();
  return std::nullopt;
}

}  // namespace cube::worker
