# Values as bytes: spec/1-values.md, as far as a leaf goes.
require "msgpack"

module PB
  class Error < StandardError; end
  class ProtocolError < Error; end             # what came is no PB, or breaks it
  class Unsendable < Error; end                # this value cannot be sent

  # Values to bytes and back: spec/1-values.md, as far as a leaf goes.
  module Values
    REF, HOME, REFX, TIMESTAMP = 1, 2, 4, -1
    INTEGERS = (-2**63..2**64 - 1)
    MAX_DEPTH = 64
    MAX_CONTAINERS = 131_072

    def self.pack(value, most = MAX_CONTAINERS, &home)
      check(value, 0, home)
      factory = MessagePack::Factory.new
      factory.register_type(TIMESTAMP, Time, packer: method(:pack_time))
      factory.register_type(HOME, Reference, packer: ->(ref) { uint(ref.__pb_id) })
      packed = factory.dump(value)
      check_form(packed, most) if packed.bytesize > most  # PB-V49
      packed
    rescue ProtocolError => error
      raise Unsendable, "#{error.message}, for the peer"
    end

    def self.check(value, depth, home)
      raise Unsendable, "nests deeper than #{MAX_DEPTH}" if depth > MAX_DEPTH
      case value
      when nil, true, false, Float then nil
      when Integer
        raise Unsendable, "#{value} is outside of -2**63 ... 2**64-1" unless INTEGERS.cover?(value)
      when String
        unless value.encoding == Encoding::BINARY || value.dup.force_encoding("UTF-8").valid_encoding?
          raise Unsendable, "a text that is no UTF-8"  # PB-V5
        end
      when Array then value.each { |item| check(item, depth + 1, home) }
      when Hash
        value.each do |key, item|
          raise Unsendable, "a map key #{key.inspect} that is no String" unless key.is_a?(String)  # PB-V6
          check(item, depth + 1, home)
        end
      when Time
        raise Unsendable, "a Time of the year #{value.getutc.year}" unless (1..9999).cover?(value.getutc.year)
      else
        raise Unsendable, "a #{value.class}, which a leaf cannot send" unless value.is_a?(Reference)
        raise Unsendable, "a reference of another connection" unless home.nil? || home.call(value)
      end
    end

    def self.uint(id) = [id].pack(id < 0x100 ? "C" : id < 0x10000 ? "n" : id < 0x100000000 ? "N" : "Q>")

    def self.pack_time(time)
      seconds, nanoseconds = time.to_i, time.nsec
      if (0...2**34).cover?(seconds)
        return [seconds].pack("N") if nanoseconds.zero? && seconds < 2**32
        return [(nanoseconds << 34) | seconds].pack("Q>")
      end
      [nanoseconds, seconds].pack("Nq>")
    end

    FIXED = { 0xC0 => 0, 0xC2 => 0, 0xC3 => 0, 0xCA => 4, 0xCB => 8, 0xCC => 1, 0xCD => 2, 0xCE => 4,
              0xCF => 8, 0xD0 => 1, 0xD1 => 2, 0xD2 => 4, 0xD3 => 8, 0xD4 => 2, 0xD5 => 3, 0xD6 => 5,
              0xD7 => 9, 0xD8 => 17 }.freeze
    LONG = { 0xC4 => [1, 0], 0xC5 => [2, 0], 0xC6 => [4, 0], 0xC7 => [1, 1], 0xC8 => [2, 1], 0xC9 => [4, 1],
             0xD9 => [1, 0], 0xDA => [2, 0], 0xDB => [4, 0] }.freeze
    COUNTED = { 0xDC => [2, 1], 0xDD => [4, 1], 0xDE => [2, 2], 0xDF => [4, 2] }.freeze

    # Looks at the headers before anything is allocated on their word (PB-V30): there is one value (PB-V1), and it
    # holds not too many arrays and maps (PB-V49).
    def self.check_form(bytes, most = MAX_CONTAINERS)
      at, left, size, containers = 0, 1, bytes.bytesize, 0
      while left.positive?
        raise ProtocolError, "promises more than it holds" if left > size - at
        head = bytes.getbyte(at)
        at, left = at + 1, left - 1
        containers += 1 if (0x80..0x9F).cover?(head) || COUNTED.key?(head)
        raise ProtocolError, "more than #{most} arrays and maps" if containers > most
        if head <= 0x7F || head >= 0xE0 then next
        elsif head <= 0x8F then left += 2 * (head & 15)
        elsif head <= 0x9F then left += head & 15
        elsif head <= 0xBF then at += head & 31
        elsif FIXED.key?(head) then at += FIXED[head]
        elsif (width, extra = LONG[head])
          at += width + extra + bytes.byteslice(at, width).unpack1("H*").to_i(16)
        elsif (width, each = COUNTED[head])
          left += each * bytes.byteslice(at, width).unpack1("H*").to_i(16)
          at += width
        else raise ProtocolError, "a byte that begins nothing"
        end
      end
      raise ProtocolError, "#{(at - size).abs} bytes too #{at < size ? "many" : "few"}" unless at == size
    end

    # Gives the value and, in an array, why it cannot be taken (PB-V36: read to its end all the same).
    def self.unpack(bytes, &reference)
      check_form(bytes)
      problems = []
      unpacker = MessagePack::Unpacker.new(allow_unknown_ext: true)
      [take(unpacker.feed(bytes).read, 0, problems, reference), problems]
    rescue EOFError, MessagePack::UnpackError, RangeError, ArgumentError => error
      raise ProtocolError, "no msgpack (#{error.class})"
    end

    def self.take(value, depth, problems, reference)
      raise ProtocolError, "nests deeper than #{MAX_DEPTH}" if depth > MAX_DEPTH
      case value
      when String
        valid = value.encoding == Encoding::BINARY || value.valid_encoding?
        valid ? value : raise(ProtocolError, "text that is no UTF-8")  # PB-V5
      when Array then value.map { |item| take(item, depth + 1, problems, reference) }
      when Hash
        value.to_h do |key, item|
          text = key.is_a?(String) && key.encoding == Encoding::UTF_8 && key.valid_encoding?
          raise ProtocolError, "a map key that is no text" unless text  # PB-V6
          [key, take(item, depth + 1, problems, reference)]
        end
      when MessagePack::ExtensionValue then take_ext(value.type, value.payload, problems, reference)
      else value
      end
    end

    def self.take_ext(type, data, problems, reference)
      case type
      when TIMESTAMP then unpack_time(data)
      when REF then reference.call(id_of(data, 1))
      when REFX
        id, meta = unpack(data) { |_id| nil }.first
        raise ProtocolError, "REFX of another form" unless id.is_a?(Integer) && id >= 1 && meta.is_a?(Hash)
        reference.call(id)
      else
        id_of(data, 0) if type == HOME
        problems << (type == HOME ? "HOME: a leaf has no objects" : "ext #{type}, which a leaf does not know")
        nil
      end
    end

    def self.id_of(data, least)
      raise ProtocolError, "an id of #{data.bytesize} bytes" unless [1, 2, 4, 8].include?(data.bytesize)
      id = data.unpack1("H*").to_i(16)
      raise ProtocolError, "an id out of range" unless (least...2**53).cover?(id)  # PB-V10
      id
    end

    def self.unpack_time(data)
      seconds, nanoseconds =
        case data.bytesize
        when 4 then [data.unpack1("N"), 0]
        when 8 then data.unpack1("Q>").then { |both| [both & (2**34 - 1), both >> 34] }
        when 12 then data.unpack("Nq>").reverse
        else raise ProtocolError, "a time of #{data.bytesize} bytes"
        end
      valid = nanoseconds < 10**9 && (-62_135_596_800..253_402_300_799).cover?(seconds)
      raise ProtocolError, "a time out of range" unless valid  # PB-V8
      Time.at(seconds, nanoseconds, :nsec).utc
    end
  end
end
