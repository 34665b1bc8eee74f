# The rows of spec/vectors that a leaf must do: `ruby check_vectors.rb [spec/vectors]`.
require "json"
require "time"
require_relative "login"

folder = ARGV[0] || File.expand_path("../../../spec/vectors", __dir__)
LEAF = %w[$int $float $bytes $timestamp $ref $home $refx].freeze
$failed = []
$done = 0

def leaf?(value)
  case value
  when Array then value.all? { |item| leaf?(item) }
  when Hash
    special = value.keys.find { |key| key.start_with?("$") }
    return value.values.all? { |item| leaf?(item) } unless special
    return false if special == "$int" && !PB::Values::INTEGERS.cover?(value[special].to_i)
    LEAF.include?(special)
  else true
  end
end

def build(value)
  case value
  when Array then value.map { |item| build(item) }
  when Hash
    special, content = value.first
    case special
    when "$int" then content.to_i
    when "$float" then { "nan" => Float::NAN, "inf" => Float::INFINITY, "-inf" => -Float::INFINITY }[content] || content.to_f
    when "$bytes" then [content].pack("H*")
    when "$timestamp" then Time.iso8601(content)
    when "$ref" then [:ref, content.to_i]
    when "$refx" then [:ref, content[0]]
    when "$home" then :home
    else value.transform_values { |item| build(item) }
    end
  else value
  end
end

def expect(name, found, wanted)
  $done += 1
  same = found == wanted || (found.is_a?(Float) && found.nan? && wanted.is_a?(Float) && wanted.nan?)
  $failed << "#{name}: #{found.inspect}, expected #{wanted.inspect}" unless same
end

JSON.parse(File.read("#{folder}/values.json")).each do |row|
  next unless leaf?(row["value"])
  wanted = build(row["value"])
  if wanted == :home  # a leaf has nothing that could come home
    expect(row["name"], PB::Values.unpack([row["hex"]].pack("H*")) { }.last.size, 1)
    next
  end
  bytes = [row["hex"]].pack("H*")
  value, problems = PB::Values.unpack(bytes) { |id| [:ref, id] }
  expect(row["name"], value, wanted)
  expect(row["name"], problems, [])
  next if row["decode_only"] || row["value"].to_s.include?("ref")
  expect("#{row["name"]}, encoded", PB::Values.pack(wanted).unpack1("H*"), row["hex"])
end

JSON.parse(File.read("#{folder}/reject-values.json")).each do |row|
  hex = row["hex"] || (row["hex_head"].to_s + row["hex_repeat"][0] * row["hex_repeat"][1].to_i + row["hex_tail"].to_s)
  found =
    begin
      PB::Values.unpack([hex].pack("H*")) { |_id| nil }.last.empty? ? "accept" : "call"
    rescue PB::ProtocolError
      "fatal"
    end
  # What stands in the data of an ext that a leaf refuses, it does not look into.
  next if row["expect"] == "either"
  expect(row["name"], found == "accept", false)
end

JSON.parse(File.read("#{folder}/login.json"))["scram"].each do |row|
  next if row["plus"] || row["hello_hash"].nil? || row["binding"]
  next unless (row["user"] + row["password"]).match?(/\A[ -~]+\z/)  # this client has no SASLprep
  hash = [row["hello_hash"]].pack("H*")
  final, proof = PB::Scram.answer(row["client_first"][3..], row["server_first"], row["client_nonce"], row["password"], hash)
  expect(row["name"], [final, "v=#{proof}"], [row["client_final"], row["server_final"]])
end

puts $failed
puts "#{$done} checks, #{$failed.size} failed"
exit $failed.empty?
