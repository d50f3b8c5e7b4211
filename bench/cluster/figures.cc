#include "bench/cluster/figures.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace cube::bench {

void Figures::Add(std::string name, double value, std::string unit, std::optional<double> limit) {
  figures_.push_back({std::move(name), value, std::move(unit), limit});
}

void Figures::NotMeasured(std::string name, std::string unit, const std::string& why) {
  fmt::print("not measured: {}: {}\n", name, why);
  figures_.push_back({std::move(name), std::nullopt, std::move(unit), std::nullopt});
}

std::string Figures::Json() const {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Figure& figure : figures_) {
    nlohmann::ordered_json one;
    one["name"] = figure.name;
    one["value"] = nullptr;
    if (figure.value) one["value"] = *figure.value;
    one["unit"] = figure.unit;
    one["limit"] = nullptr;
    if (figure.limit) one["limit"] = *figure.limit;
    one["ratio"] = nullptr;
    if (figure.value && figure.limit && *figure.limit > 0) {
      one["ratio"] = *figure.value / *figure.limit;
    }
    all.push_back(std::move(one));
  }
  return all.dump(2) + "\n";
}

Result<void> Figures::Write(const std::string& path) const {
  std::ofstream file(path, std::ios::trunc);
  file << Json();
  file.close();
  if (!file) return Fail(Code::kUnavailable, fmt::format("--json: cannot write {}", path));
  return {};
}

}  // namespace cube::bench
