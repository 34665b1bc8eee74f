# Against a real server, which tests/interop/test_ruby.py starts: `ruby live.rb URL`.
require_relative "login"

def expect(what, found, wanted)
  abort "#{what}: #{found.inspect}, expected #{wanted.inspect}" unless found == wanted
  puts "ok #{what}"
end

def raises(what, kind, type = nil)
  yield
  abort "#{what}: nothing was raised"
rescue kind => error
  expect(what, type && error.type, type)
end

url = ARGV[0]
PB.connect(url, timeout: 10) do |connection|
  root = connection.root
  value = [nil, true, 1, -2**63, 2**64 - 1, 1.5, "é", "\x00\xFF".b, { "a" => [{}] }, Time.at(1_700_000_000, 5000, :nsec)]
  expect("values come back as they were", root.echo(value), value)
  expect("by name", root.echo(x: 5), 5)
  thing = root.make
  expect("an object answers", thing.ping, "pong")
  expect("an object is one reference", thing.itself.equal?(thing), true)
  expect("it goes home as itself", root.same(thing, thing), true)
  count = root.count
  connection.release(thing)
  expect("it is given back", root.count, count - 1)
  raises("a method that is not there", PB::RemoteError, "pb.NoSuchMethod") { root.nope }
  raises("an error of the server's", PB::RemoteError, "bank.Insufficient") { root.fail("registered") }
  raises("a feature that a leaf has not announced", PB::RemoteError, "pb.Unsupported") { root.stock }
  raises("what cannot be sent", PB::Unsendable) { root.echo(Object.new) }
  raises("a text that is no UTF-8", PB::Unsendable) { root.echo("\xFF") }
  expect("and the connection lives", root.echo("still here"), "still here")
end
