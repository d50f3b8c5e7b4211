// Signals by name, as stop_signal names them. Linux's numbers on x86 and ARM. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cube {

// "SIGTERM", "term", "15", "SIGRTMIN+3": the signal's number, 1 to 64; nullopt = there is none.
[[nodiscard]] std::optional<int> ParseSignal(std::string_view text);
// 15 -> "SIGTERM". number: 1 to 64.
[[nodiscard]] std::string SignalName(int number);

}  // namespace cube
