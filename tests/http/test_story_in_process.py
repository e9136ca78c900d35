def test_a_referral_opens_a_plan(world):
    hosp, home, out = world.hospital(), world.party(), world.party()

    case = world.case(hosp, home)

    assert hosp.read(case.plan)["status"] == "active"
    assert home.get(case.task).status == 200
    assert home.get(case.order).status == 200
    assert home.get(case.patient).status == 404
    assert out.get(case.task).status == 404
    for status in ("received", "accepted", "in-progress"):
        reply = home.move(case.task, status)
        assert reply.status == 200, reply.body
    assert home.get(case.patient).status == 200
    reply = home.move(case.task, "completed")
    assert reply.status == 200, reply.body
    assert home.get(case.patient).status == 404
    reply = hosp.change(case.order, status="completed")
    assert reply.status == 200, reply.body
