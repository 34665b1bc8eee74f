# Calls a server, with a login: `ruby example.rb pb://127.0.0.1:8787 guest guest pbecho`, after
# `pb run examples/paper/listing13.py`.
require_relative "login"

url, user, password, service = ARGV
abort "usage: ruby example.rb URL USER PASSWORD SERVICE" unless service
begin
  PB.connect(url) do |connection|
    identity = connection.login(user, password)
    puts identity.keys.inspect
    echoer = identity.attach(service)
    puts echoer.echo("hello network")
  end
rescue PB::Error, SystemCallError => error
  abort "#{error.class}: #{error.message}"
end
