#include "shared/wire/spec_texts.h"

#include <cube/v1/spec.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include "shared/wire/internal.h"
#include "shared/wire/scratch.h"

namespace cube::wire {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr std::size_t kHeadBytesMax = 10;  // a tag and a size

std::string Encoded(int field, const TaskSpec& spec) {
  Scratch<v1::TaskSpec> scratch;
  ToProto(spec, *scratch);
  return AsField(field, internal::Serialize(*scratch));
}

}  // namespace

std::string AsField(int field, std::string_view message) {
  std::string bytes;
  bytes.reserve(message.size() + kHeadBytesMax);
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  out.WriteVarint32(static_cast<std::uint32_t>(message.size()));
  out.WriteRaw(message.data(), static_cast<int>(message.size()));
  out.Trim();  // its last bytes are its own until then
  return bytes;
}

void SpecTexts::Append(const TaskSpecPtr& spec, std::string& to) {
  if (!IsShared(spec)) {
    to += Encoded(field_, *spec);
    return;
  }
  if (bytes_ > kKeptBytesMax) Clear();
  Kept& kept = kept_[spec.get()];
  if (kept.spec.lock() != spec) {
    bytes_ -= kept.text.size();
    kept = {spec, Encoded(field_, *spec)};
    bytes_ += kept.text.size();
  }
  to += kept.text;
}

void SpecTexts::Clear() {
  kept_.clear();
  bytes_ = 0;
}

}  // namespace cube::wire
