# Logging in by SCRAM-SHA-256: spec/9-login.md.
require "openssl"
require_relative "pb"

module PB
  class Connection
    # Logs in by SCRAM-SHA-256 (spec/9-login.md) and returns the identity.
    def login(user, password, nonce: OpenSSL::Random.random_bytes(18).then { |b| [b].pack("m0") })
      unless (@info["auth"] || []).include?("SCRAM-SHA-256")
        raise Error, "the server does not offer SCRAM-SHA-256"  # PB-A2
      end
      [user, password].each { |text| raise Error, "only ASCII here" unless text.match?(/\A[ -~]+\z/) }  # PB-A14
      bare = "n=#{user.gsub("=", "=3D").gsub(",", "=2C")},r=#{nonce}"
      step = root.login("SCRAM-SHA-256", "n,,#{bare}".b)
      broken("no challenge") unless step.is_a?(Hash) && step["data"].is_a?(String) && step["next"]
      final, proof = Scram.answer(bare, step["data"], nonce, password, hello_hash) || broken("a bad challenge")
      done = step["next"].respond(final.b)
      release(step["next"])
      same = done.is_a?(Hash) && done["data"].is_a?(String) && done["identity"] && done["data"].b == "v=#{proof}".b
      broken("no proof that the server knows the password") unless same  # PB-A27
      done["identity"]
    end

    def hello_hash = OpenSSL::Digest.digest("SHA256", @hello + @their_hello)  # PB-A4

    private

    def broken(text)
      @io.close  # PB-A10
      raise Error, "login: #{text}"
    end
  end

  # SCRAM-SHA-256 at the client: spec/9-login.md, 9.6.
  module Scram
    def self.answer(bare, challenge, nonce, password, hash)
      text = challenge.dup.force_encoding("UTF-8")
      form = /\Ar=([!-+\--~]+),s=([A-Za-z0-9+\/=]+),i=([1-9]\d{3,7})(?:,h=([A-Za-z0-9+\/=]+))(?:,[A-Za-z]=[^,\0]+)*\z/
      both, salt, count, told = form.match(text)&.captures
      return unless both && both.start_with?(nonce) && both.size >= nonce.size + 18  # PB-A25
      salt = salt.unpack1("m0")
      return unless (1..64).cover?(salt.bytesize) && (4096..10_000_000).cover?(count.to_i)
      return unless told.unpack1("m0") == hash
      salted = OpenSSL::KDF.pbkdf2_hmac(password, salt: salt, iterations: count.to_i, length: 32, hash: "SHA256")
      hmac = ->(key, data) { OpenSSL::HMAC.digest("SHA256", key, data) }
      client = hmac.(salted, "Client Key")
      without = "c=biws,r=#{both}"
      message = "#{bare},#{text},#{without}"
      mask = hmac.(OpenSSL::Digest.digest("SHA256", client), message)
      proof = client.bytes.zip(mask.bytes).map { |a, b| a ^ b }.pack("C*")
      server = hmac.(hmac.(salted, "Server Key"), message)
      ["#{without},p=#{[proof].pack("m0")}", [server].pack("m0")]
    rescue ArgumentError  # base64 that is none
      nil
    end
  end
end
