#include "shared/store/lmdb_mark.h"

namespace cube::store {
namespace {

// The layout of the folder and of the stored values (value, then checksum).
constexpr std::string_view kFormatLine = "cube-store 1\n";

std::string SchemaLine(const Schema& schema) {
  std::string line = "schema " + std::to_string(schema.version);
  char separator = ' ';
  for (const std::string& name : schema.table_names) {
    line += separator;
    line += name;
    separator = ',';
  }
  return line + "\n";
}

std::string Mark(const Schema& schema, std::string_view last_line) {
  return std::string(kFormatLine) + SchemaLine(schema) + std::string(last_line) + "\n";
}

}  // namespace

std::string DurableMark(const Schema& schema) { return Mark(schema, "durable"); }

std::string ClosedMark(const Schema& schema) { return Mark(schema, "closed"); }

std::string OpenMark(const Schema& schema, std::string_view boot_id) {
  return Mark(schema, "open " + std::string(boot_id));
}

std::optional<std::string> WhyUnusable(std::string_view mark, const Schema& schema,
                                       std::string_view boot_id) {
  if (mark == DurableMark(schema) || mark == ClosedMark(schema) ||
      mark == OpenMark(schema, boot_id)) {
    return std::nullopt;
  }
  if (!mark.starts_with(kFormatLine)) return "its mark is damaged or of another format";
  mark.remove_prefix(kFormatLine.size());
  const std::string schema_line = SchemaLine(schema);
  if (!mark.starts_with(schema_line)) {
    const std::string_view found = mark.substr(0, mark.find('\n'));
    return "it was written with '" + std::string(found.substr(0, 80)) + "', this program has '" +
           schema_line.substr(0, schema_line.size() - 1) + "'";
  }
  mark.remove_prefix(schema_line.size());
  if (mark.starts_with("open ")) {
    return "the machine went down before it was closed, and not every commit was synced";
  }
  return "its mark is damaged";
}

}  // namespace cube::store
