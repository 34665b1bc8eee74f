"""The listings of the 2002 paper on Perspective Broker, as they are written today."""
