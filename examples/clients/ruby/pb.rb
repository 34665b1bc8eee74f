# Perspective Broker for Ruby, level leaf: calls a server's objects and is called back by nobody.
#
# Needs the gem msgpack (Debian: ruby-msgpack) and nothing else. Blocking, one thread, a limit to every wait.
# `require_relative "login"` adds SCRAM-SHA-256.
# Written from spec/ alone; the rule that a line follows is named beside it.
require "msgpack"
require "socket"
require "timeout"
require_relative "values"

module PB
  class ConnectionLost < Error; end            # PB-F35: one of the next two
  class NotExecuted < ConnectionLost; end      # safe to call again
  class OutcomeUnknown < ConnectionLost; end   # it may have run
  class BadPayload < Error; end                # what came is more than a leaf takes

  # An error of the other side. `type` is its wire name, such as "pb.NoSuchMethod", `text` what it says of it.
  # `message`, which Ruby prints, is both, with escapes for what a terminal or a log could take for its own (PB-E8).
  class RemoteError < Error
    attr_reader :type, :text, :bases, :data

    def initialize(map)
      @type, @text, @bases, @data = map["type"], map["msg"].to_s, map["bases"] || [], map["data"]
      said = @text.empty? ? @type : "#{@type}: #{@text}"
      super(said.scrub.gsub(/[\p{C}\p{Zl}\p{Zp}]/) { |unseen| unseen.dump[1..-2] })
    end
  end

  # An object of the server's: `lamp.switch(true)`. One per id, so `equal?` tells whether two are the same.
  class Reference < BasicObject
    def initialize(connection, id)
      @connection, @id, @gone = connection, id, false
    end

    def method_missing(name, *args, **kwargs)
      @connection.call(@id, name.to_s, args, kwargs)
    end

    def __pb_id = @id
    def __pb_gone! = @gone = true
    def __pb_gone? = @gone
    def __pb_connection = @connection
    def class = Reference
    def is_a?(kind) = kind == Reference
    def inspect = "#<PB::Reference #{@id}>"
  end

  # One connection. `PB.connect("pb://127.0.0.1:8787") { |connection| connection.root.echo("hi") }`
  class Connection
    HELLO, CALL, ANSWER, ERROR, RELEASE, GONE, PING, PONG, BYE = 0, 1, 2, 3, 6, 8, 13, 14, 15
    MAX_FRAME = 4 * 1024 * 1024

    def initialize(io, timeout: 30)
      @io, @timeout = io, timeout
      @references, @last_id, @answers, @open, @last_run = {}, 0, {}, [], nil
      @hello = MessagePack.pack([HELLO, "PB", 1, { "agent" => "pb-ruby/1", "max_frame" => MAX_FRAME }])
      write(@hello)
      body = read_frame
      envelope = unpack(body)
      unless envelope.is_a?(Array) && envelope[0] == HELLO && envelope[1] == "PB" && envelope[3].is_a?(Hash)
        raise ProtocolError, "what answers does not speak PB"
      end
      fail_with(2, "version #{envelope[2]}") unless envelope[2].is_a?(Integer) && envelope[2] >= 1
      @info, @their_hello, @bodies = envelope[3], body, []
    end

    def root = reference(0)

    # Calls a method and returns its result; raises RemoteError, NotExecuted or OutcomeUnknown.
    def call(target, method, args, kwargs = {})
      if target.positive? && @references[target]&.__pb_gone?
        raise RemoteError, { "type" => "pb.Gone", "msg" => "the object was taken back" }
      end
      most = @info.fetch("max_containers", Values::MAX_CONTAINERS)
      payload = Values.pack([args, kwargs.transform_keys(&:to_s)], most) { |ref| ref.__pb_connection.equal?(self) }
      raise NotExecuted, "the connection has ended" if @io.closed?
      id = @last_id += 1
      @open << id
      send_message([CALL, id, target, method, payload])
      receive until @answers.key?(id)
      code, answer = @answers.delete(id)
      value, problems = Values.unpack(answer) { |of| reference(of) }
      raise RemoteError, value if code == ERROR && value.is_a?(Hash) && value["type"].is_a?(String)
      raise BadPayload, "the result: #{problems.first}" unless problems.empty?  # PB-M16
      value
    rescue SystemCallError, IOError, Timeout::Error => error
      @io.close
      kind = @last_run && id && id > @last_run ? NotExecuted : OutcomeUnknown  # PB-F35
      raise kind, "the connection was lost (#{error.message})"
    end

    # Gives a reference back; it must not be used any longer.
    def release(reference)
      id = reference.__pb_id
      count = @counts&.delete(id)
      @references.delete(id)
      reference.__pb_gone!
      send_message([RELEASE, [id, count]]) if count
    end

    # Says BYE and waits for the other side's.
    def close
      return if @io.closed?
      send_message([BYE, 0, "", 0])
      @leaving = true
      receive until @peer_left
    rescue SystemCallError, IOError, Timeout::Error, ConnectionLost
      nil
    ensure
      @io.close
    end

    private

    def reference(id)
      (@counts ||= Hash.new(0))[id] += 1 if id.positive?
      @references[id] ||= Reference.new(self, id)
    end

    def receive
      frame = unpack(read_frame)
      fail_with(4, "no message") unless frame.is_a?(Array) && !frame.empty?
      return take(frame) unless frame[0].is_a?(Array)
      fail_with(5, "a batch of #{frame.size}") if frame.size > 1024  # PB-F11
      frame.each { |envelope| take(envelope) }
    end

    ARITY = [[4], [5, 6], [3], [3], [2], [2], [2], [5, 6], [2], [3], [3], [2, 3], [2], [2], [2], [4]].freeze

    def take(envelope)
      code = envelope.is_a?(Array) ? envelope[0] : nil
      fits = code.is_a?(Integer) && (1..15).cover?(code) && ARITY[code].include?(envelope.size)
      fail_with(3, "an unknown message") unless fits  # PB-F8; a second HELLO is one too
      case code
      when CALL  # a leaf exports nothing
        told = { "type" => "pb.NoSuchObject", "msg" => "a leaf has no objects" }
        send_message([ERROR, envelope[1], MessagePack.pack(told)]) unless envelope[1].zero?
      when ANSWER, ERROR
        fail_with(3, "an answer nobody waits for") unless @open.delete(envelope[1])
        @answers[envelope[1]] = [code, envelope[2]]
      when GONE then envelope[1].each { |id| @references[id]&.__pb_gone! }
      when PING then send_message([PONG, envelope[1]])
      when BYE then take_bye(envelope)
      end
    end

    def take_bye(envelope)
      fits = [Integer, String, Integer].zip(envelope[1..]).all? { |kind, field| field.is_a?(kind) }
      fail_with(3, "a BYE that is none") unless fits
      @last_run = envelope[3]
      if [0, 1].include?(envelope[1])
        send_message([BYE, 0, "", 0]) unless @leaving  # PB-F30
        @leaving = @peer_left = true
        return if @open.all? { |id| id <= @last_run }
      end
      @io.close
      raise IOError, "the server said BYE #{envelope[1]} #{envelope[2]}"
    end

    def unpack(body)
      Values.check_form(body, 65_536) # PB-F48
      MessagePack.unpack(body)
    rescue StandardError
      fail_with(4, "a frame that is no msgpack")
    end

    def read_frame
      length = read(4).unpack1("N")
      fail_with(5, "a frame of #{length} bytes") unless (1..MAX_FRAME).cover?(length)  # PB-F3
      read(length)
    end

    def read(size)
      got = Timeout.timeout(@timeout) { @io.read(size) }
      got&.bytesize == size ? got : raise(IOError, "it ended")
    end

    def send_message(envelope) = write(MessagePack.pack(envelope))
    def write(body) = @io.write([body.bytesize].pack("N") + body)

    def fail_with(code, text)
      send_message([BYE, code, text, 0]) rescue nil
      @io.close
      raise ProtocolError, text
    end
  end

  # Connects to pb://host:port or pb+unix:///path; with a block, closes at its end.
  def self.connect(url, timeout: 30)
    io =
      case url
      when %r{\Apb://\[?([^\]/]+?)\]?(?::(\d+))?\z} then Socket.tcp($1, ($2 || 8787).to_i, connect_timeout: timeout)
      when %r{\Apb\+unix://(/.+)\z} then UNIXSocket.new($1)
      else raise Error, "#{url.inspect}: expected pb://host:port or pb+unix:///path"
      end
    connection = Connection.new(io, timeout: timeout)
    return connection unless block_given?
    begin
      yield connection
    ensure
      connection.close
    end
  end
end
