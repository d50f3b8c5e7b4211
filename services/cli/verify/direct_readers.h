// Readers of streams by direct gets, for what was written for readers of the bus (LogReader,
// SnapshotReader): the command line makes no consumers. Each gets what its credit allows, up to the
// end of the stream as it was last looked at.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/cli/client.h"
#include "services/manager/operation.h"

namespace cube::cli {

// What was read of a stream.
struct StreamSeen {
  std::string name;
  std::uint64_t first = 0;  // sequence; 0 = nothing was read
  std::uint64_t last = 0;
  std::uint64_t messages = 0;
  std::uint64_t missing = 0;  // sequences between them without a message
};

class DirectReaders {
 public:
  explicit DirectReaders(Client& client) : client_(&client) {}

  // Carries out what a reader asks of its bus; `notes` gets what it has to say to people.
  void Execute(manager::Operations& out, std::vector<std::string>& notes);
  // Where the stream begins and ends now.
  [[nodiscard]] Result<bus::StreamState> Look(const std::string& stream);
  // What comes next, to all readers; empty = all are at their ends, or without credit. kAborted:
  // the stream was trimmed meanwhile.
  [[nodiscard]] Result<std::vector<bus::Read>> Read();

  [[nodiscard]] const StreamSeen& seen(const std::string& stream) { return seen_[stream]; }

 private:
  struct Reader {
    std::string stream;
    std::uint64_t next = 1;
    std::uint64_t credit = 0;
  };
  [[nodiscard]] Result<void> ReadOne(bus::SubId id, Reader& reader, std::vector<bus::Read>& reads);

  Client* client_;
  std::map<bus::SubId, Reader> readers_;
  std::map<std::string, std::uint64_t> first_;
  std::map<std::string, std::uint64_t> last_;
  std::map<std::string, StreamSeen> seen_;
};

}  // namespace cube::cli
