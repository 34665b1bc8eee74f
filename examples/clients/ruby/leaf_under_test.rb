# A leaf for `pb conformance --listen URL --level leaf`: it connects, says HELLO and answers, again and again.
require_relative "pb"

loop do
  connection =
    begin
      PB.connect(ARGV[0], timeout: 5)
    rescue Errno::ECONNREFUSED
      exit
    rescue PB::Error, SystemCallError, IOError
      next
    end
  begin
    connection.instance_eval { receive until @peer_left }
  rescue PB::Error, SystemCallError, IOError, Timeout::Error
    nil  # the case is over
  end
end
