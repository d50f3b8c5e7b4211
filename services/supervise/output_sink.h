// Where a command's output goes: frames appended to a file that is set aside when it is full.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "services/worker/engine/output_log.h"
#include "services/worker/engine/process/posix_files.h"

namespace cube::supervise {

class OutputSink {
 public:
  // In the current folder. The command must never block or die because the disk is full, so from
  // here on what cannot be written is counted, and the loss is noted in the output when it can be.
  OutputSink();
  void Write(std::string_view frames);

 private:
  void Rotate();

  engine::process::Fd file_;
  std::uint64_t size_ = 0;
  std::uint64_t lost_bytes_ = 0;
};

}  // namespace cube::supervise
