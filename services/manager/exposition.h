// What a manager tells Prometheus. docs/OPERATIONS.md lists the names.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "services/manager/manager_loop.h"
#include "shared/telemetry/families.h"

namespace cube::manager {

// Counting tasks by status looks at each of them: in a large view not at every scrape.
inline constexpr std::size_t kCountAlwaysMax = 10'000;
inline constexpr Duration kRecountAfter = std::chrono::seconds(10);

// Watches what goes between the loop and the bus; counts and times. One thread.
class Meter {
 public:
  explicit Meter(wire::Subjects subjects);

  void Sees(const bus::Operation& operation, MonoTime now);
  void Sees(const bus::Event& event, MonoTime now);

  struct Figures {
    std::uint64_t store_bytes = 0;
    std::size_t inbox_size = 0;
    std::uint64_t inbox_dropped = 0;
  };
  [[nodiscard]] telemetry::Families Expose(const std::string& name, const ManagerLoop& loop,
                                           const Figures& figures, MonoTime now);

 private:
  void Count(const View& view, MonoTime now);
  void AddTerm(telemetry::Families& to, const ManagerLoop& loop) const;
  void AddView(telemetry::Families& to, const ManagerLoop& loop) const;

  std::string decisions_;                  // subject
  std::map<bus::OpId, MonoTime> appends_;  // decisions under way, by when they were sent
  telemetry::Histogram append_seconds_;
  std::uint64_t appends_failed_ = 0;
  std::uint64_t connects_ = 0;
  std::map<std::string, std::size_t> tasks_;  // by status
  MonoTime counted_at_{};
};

}  // namespace cube::manager
