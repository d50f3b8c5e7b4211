#include "services/supervise/output_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "services/worker/engine/process/launch_dir.h"

namespace cube::supervise {
namespace {

using engine::process::Fd;
using engine::process::kOldOutputFile;
using engine::process::kOutputBytesMax;
using engine::process::kOutputFile;

int OpenOutput() { return open(kOutputFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); }

}  // namespace

OutputSink::OutputSink() : file_(OpenOutput()) {}

void OutputSink::Rotate() {
  if (rename(kOutputFile, kOldOutputFile) != 0) return;
  file_ = Fd(OpenOutput());
  size_ = 0;
  // Should it fail, only nobody is told that something came before.
  if (engine::process::WriteAll(file_.get(), engine::kCutMark, kOutputFile)) {
    size_ = engine::kCutMark.size();
  } else if (ftruncate(file_.get(), 0) != 0) {
    file_.Close();
  }
}

void OutputSink::Write(std::string_view frames) {
  if (frames.empty()) return;
  if (size_ >= kOutputBytesMax) Rotate();
  if (!file_.valid()) file_ = Fd(OpenOutput());
  if (lost_bytes_ > 0) {
    std::string note;
    engine::AppendFrame(
        engine::process::WallNow(), true, true,
        "[cube: " + std::to_string(lost_bytes_) + " bytes of output could not be written]", &note);
    if (!engine::process::WriteAll(file_.get(), note, kOutputFile)) {
      lost_bytes_ += frames.size();
      return;
    }
    size_ += note.size();
    lost_bytes_ = 0;
  }
  if (engine::process::WriteAll(file_.get(), frames, kOutputFile)) {
    size_ += frames.size();
    return;
  }
  lost_bytes_ += frames.size();
  // Whatever part has been written is cut off, so that the next frame begins on a line of its own.
  if (file_.valid() && ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) file_.Close();
}

}  // namespace cube::supervise
