import json, asyncio
from tests.integration.gateway.api_client import *
from tests.integration.gateway.conftest import *

async def test_probe(gateway, store):
    api = gateway.api
    def show(what, a): print(store, what, a.status, a.payload[:600].decode("utf8","replace"), a.warnings)
    await api.made(f"{TEAM}/serviceinstances", instance())
    d = await api.read(f"{TEAM}/serviceinstances/db")
    del d["metadata"]["namespace"]; d["spec"]["parameters"]={"a":1}
    show("PUT w/o ns", await api.put(f"{TEAM}/serviceinstances/db", d))
    show("GET after", await api.get(f"{TEAM}/serviceinstances/db"))
    await api.made(f"{TEAM}/serviceinstances", instance("db2"))
    show("patch ns", await api.patch(f"{TEAM}/serviceinstances/db2", {"metadata":{"namespace":"other"}}))
    show("GET after", await api.get(f"{TEAM}/serviceinstances/db2"))
    show("patch uid", await api.patch(f"{TEAM}/serviceinstances/db2", {"metadata":{"uid":"zzz"}}))
    show("limit huge", await api.get(f"{TEAM}/serviceinstances", limit="9"*5000))
    show("nul name", await api.get(f"{TEAM}/serviceinstances/%00"))
    show("nul field", await api.get(f"{TEAM}/serviceinstances", fieldSelector="spec.externalID=a\0b"))
    show("nul extid", await api.post(f"{TEAM}/serviceinstances", instance("nul", clusterServiceClassExternalName="a", clusterServicePlanExternalName="b", externalID="a\0b")))
    show("nul param", await api.post(f"{TEAM}/serviceinstances", instance("nulp", clusterServiceClassExternalName="a", clusterServicePlanExternalName="b", parameters={"x":"a\0b"})))
    show("nul class", await api.post(f"{TEAM}/serviceinstances", instance("nulc", clusterServiceClassExternalName="a\0", clusterServicePlanExternalName="b")))
    show("include bogus", await api.post(f"{TEAM}/serviceinstances", instance("inc"), includeObject="Bogus"))
    show("GET inc", await api.get(f"{TEAM}/serviceinstances/inc"))
    show("accept pb", await api.call("POST", f"{TEAM}/serviceinstances", instance("pb"), headers={"Accept":"application/vnd.kubernetes.protobuf"}))
    show("GET pb", await api.get(f"{TEAM}/serviceinstances/pb"))
    x = instance("warn"); x["spec"]["a\rb\x01é"]=1
    try: show("warn", await api.post(f"{TEAM}/serviceinstances", x))
    except Exception as e: print(store, "warn EXC", repr(e)[:300])
    show("AlreadyExists", await api.post(f"{TEAM}/serviceinstances", instance("inc")))
    show("Invalid", await api.post(f"{TEAM}/serviceinstances", catalog_object("ServiceInstance","foo")))
    d = await api.read(f"{TEAM}/serviceinstances/inc")
    show("dup patch", await api.patch(f"{TEAM}/serviceinstances/inc", {"metadata":{"resourceVersion":"1"}}))
    show("rv empty patch", await api.patch(f"{TEAM}/serviceinstances/inc", {"metadata":{"resourceVersion":""}}))
    show("delcoll dry body", await api.delete(f"{TEAM}/serviceinstances", {"dryRun":["All"]}))
    show("GET inc", await api.get(f"{TEAM}/serviceinstances/inc"))
    s = await api.made(SECRETS, secret(a="b")); print(s)
    print(await api.read(f"{SECRETS}/key"))
    show("delete unknown dryRun", await api.delete(f"{SECRETS}/key", {"dryRun":["Bogus"]}))
    await api.made("/api/v1/namespaces", namespace("gone"))
    show("del ns", await api.delete("/api/v1/namespaces/gone"))
    show("405", await api.call("PUT", f"{TEAM}/serviceinstances", instance()))
    show("/apis/", await api.get("/apis/"))
    show("cont", await api.get(f"{TEAM}/serviceinstances", **{"continue":"AAAA"}))
    import base64
    for t in ('["a"]','5','["a\\u0000","b"]','{"a":1,"b":2}', '[1,2]', '"ab"'):
        show("cont "+t, await api.get(f"{TEAM}/serviceinstances", **{"continue":base64.urlsafe_b64encode(t.encode()).decode()}))
    show("413", await api.post(SECRETS, b"x"*(3*1024*1024+1)))
    show("nonascii cl", await api.get(f"{TEAM}/serviceinstances", labelSelector="a=\0"))
    show("openapi", await api.get("/docs/openapi.json"))
    show("readyz", await gateway.as_user(None).get("/readyz"))
